import { happeningObject } from '../happening-text.ts';
import type { Output } from '../output.ts';
import type { Reporter } from './reporter.ts';

/** The first object has `url`, the last is the summary. */
export function jsonReporter(output: Output): Reporter {
  return {
    starting: () => undefined,
    listening: (url, data) => output.object({ event: 'listening', url, data }),
    begun: (beginning) => output.object({ event: 'begun', ...beginning }),
    happened: (happening) => {
      if (happening.kind !== 'bytes-sent') output.object(happeningObject(happening));
    },
    clientSaid: (number, event) => {
      if (event['event'] === 'trained' || event['event'] === 'note') output.object({ clientNumber: number, ...event });
    },
    clientEnded: ({ number, how, lastWords }) =>
      output.object({ event: 'client-ended', clientNumber: number, how, lastWords }),
    trained: (summary) => output.object({ event: 'trained-all', ...summary }),
    stopping: () => output.object({ event: 'stopping' }),
    finished: (summary) => output.object({ event: 'finished', ...summary }),
  };
}
