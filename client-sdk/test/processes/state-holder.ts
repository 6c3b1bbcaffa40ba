/** Opens the state directory in argv[2] and says so; with `draw` in argv[3] it draws sequence numbers until it is killed. */
import { systemRandom } from '@carapace/crypto';
import { StateDirectory } from '../../src/state/state-directory.ts';

const [, , directory = '', mode = 'hold'] = process.argv;
const state = await StateDirectory.open(directory, systemRandom);
console.log('open');
process.stdin.on('end', () => state.close()).resume();
// Fewer than a block a turn, so that a kill falls between reservations as well as within one.
while (mode === 'draw') {
  const drawn = await Promise.all(Array.from({ length: 300 }, () => state.nextSequence()));
  for (const number of drawn) console.log(String(number));
  await new Promise(setImmediate);
}
