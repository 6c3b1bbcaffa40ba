/** A task as it is in one of its rounds: with the clip of that round, where the clip moves. */
import { atClip } from '@carapace/aggregation';
import type { Task } from '@carapace/aggregation';
import type { RoundRecord, TaskRecord } from '../ports.ts';

export function taskIn(round: RoundRecord, record: TaskRecord): Task;
export function taskIn(round: RoundRecord, record: TaskRecord | null): Task | null;
export function taskIn({ clip }: RoundRecord, record: TaskRecord | null): Task | null {
  return record && { ...record.task, protection: atClip(record.task.protection, clip) };
}
