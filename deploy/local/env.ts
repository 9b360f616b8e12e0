/** Prints shell exports for the installation that `up` has started: `eval "$(make -s env)"`. */
import { readRunFile } from './run-file.ts'
import { readHome } from './up-options.ts'

const home = readHome(process.env)
const run = readRunFile(home)
if (run?.api === undefined || run.operatorKey === undefined) {
  process.stderr.write(`weir: nothing runs in ${home}; start it with: make up\n`)
  process.exitCode = 1
} else {
  process.stdout.write(
    `export WEIR_API='${run.api}'\nexport WEIR_OPERATOR_KEY='${run.operatorKey}'\n`,
  )
}
