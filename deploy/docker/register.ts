/**
 * Registers stages, `register locate@1 score@1:8` (the number: partitions), and hands out their keys
 * as /secrets/stages/<ref>. A stage that is registered keeps its key.
 */
import { registerStage } from '../local/register-stage.ts'
import { readSecret } from '../local/secrets.ts'
import { handOut, vaultDir } from './hand-out.ts'

const partitionsDefault = 4

const operatorKey = readSecret(vaultDir, 'operator-key')
if (operatorKey === undefined) throw new Error('the vault holds no operator key: run secrets first')

for (const argument of process.argv.slice(3)) {
  const [, ref, partitions] = /^([a-z][a-z0-9-]*@\d+)(?::(\d+))?$/.exec(argument) ?? []
  if (ref === undefined) throw new Error(`${argument} is not <name>@<major>[:<partitions>]`)
  const key = await registerStage({
    home: vaultDir,
    api: process.env.WEIR_API || 'http://control:8080',
    operatorKey,
    stage: { ref, partitions: Number(partitions ?? partitionsDefault) },
  })
  handOut('stages', ref, key)
  console.log(`${ref} is registered`)
}
