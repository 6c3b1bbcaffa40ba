/** Writes `docs/errors.md` from the error tables of the packages; `--check` fails when it is stale. */
import { errorsDocument } from './errors-document.ts';
import { writeOrCheck } from './generated.ts';

writeOrCheck('docs/errors.md', errorsDocument(), 'node scripts/errors.ts');
