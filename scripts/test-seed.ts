/**
 * Runs before every test file: property tests draw the same examples on every run, so that what fails was broken by a change and not by chance.
 * CARAPACE_TEST_SEED gives other examples: a number, or `random`. System tests that draw for themselves take the same variable, as text.
 */
import { randomInt } from 'node:crypto';
import process from 'node:process';
import fc from 'fast-check';
import { seedOf } from './property-seed.ts';

const given = process.env['CARAPACE_TEST_SEED'];
const seed = seedOf(given, () => randomInt(2 ** 31));
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
// What was drawn is what everybody prints, and what repeats the run.
if (given === 'random') process.env['CARAPACE_TEST_SEED'] = String(seed);
