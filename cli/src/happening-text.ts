/** What happened in a coordinator, as a line for people and as an object for programs. */
import type { Happening } from '@carapace/coordinator';
import { formatBytes, formatPercent, formatSeconds } from './format.ts';

export function happeningObject(happening: Happening): Record<string, unknown> {
  const { kind, ...rest } = happening;
  if (rest && 'error' in rest) return { event: kind, ...rest, error: messageOf(rest.error) };
  return { event: kind, ...rest };
}

/** Null for what would only fill the screen. */
export function happeningText(happening: Happening): string | null {
  switch (happening.kind) {
    case 'round-opened':
      return `${happening.round}: opened, from version ${happening.baseVersion}`;
    case 'cohort-selected':
      return `${happening.round}: cohort of ${happening.clients.length}`;
    case 'update-admitted':
      return `${happening.round}: ${happening.client} reported, ${formatBytes(happening.bytes)}, ${happening.examples} examples`;
    case 'update-refused':
      return `${happening.round}: update of ${happening.client} refused (${happening.code})`;
    case 'participant-declined':
      return `${happening.round}: ${happening.client} declined, ${happening.reason}`;
    case 'round-aggregating':
      return `${happening.round}: ${happening.reported} reported, aggregating after ${formatSeconds(happening.phaseMs / 1000)} of ${happening.after}`;
    case 'round-collecting':
      return `${happening.round}: ${happening.clients} clients agreed on their masks in ${formatSeconds(happening.phaseMs / 1000)}`;
    case 'round-unmasking':
      return `${happening.round}: ${happening.reported} reported in ${formatSeconds(happening.phaseMs / 1000)}, unmasking their sum`;
    case 'client-accused':
      return `${happening.round}: ${happening.client} lied to its cohort (${happening.code})`;
    case 'round-completed':
      return `${happening.round}: version ${happening.version} from ${happening.reported} updates in ${formatSeconds(happening.durationMs / 1000)}${accuracyText(happening.metrics)}`;
    case 'round-abandoned':
      return `${happening.round}: abandoned, ${happening.reason}`;
    case 'budget-charged':
      return `${happening.round}: budget ${happening.budget} at epsilon ${happening.epsilon.toFixed(3)} of ${happening.limit}`;
    case 'budget-refused':
      return `${happening.task}: paused, ${happening.why}`;
    case 'task-completed':
      return `${happening.task}: completed after ${happening.rounds} rounds`;
    case 'client-enrolled':
      return `${happening.client} (${happening.name}) of ${happening.site} joined`;
    case 'client-revoked':
      return `${happening.client} revoked: ${happening.reason}`;
    case 'model-uploaded':
      return `${happening.model}: version ${happening.version} uploaded`;
    case 'repaired':
      return `repaired a ${happening.what} that the queue forgot`;
    case 'job-failed':
      return `${happening.job} failed, and is tried again: ${messageOf(happening.error)}`;
    case 'round-evaluating':
    case 'bytes-sent':
      return null;
  }
}

function accuracyText({ testAccuracy }: Readonly<Record<string, number>>): string {
  return testAccuracy === undefined ? '' : `, test accuracy ${formatPercent(testAccuracy)}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
