import { type RunFile, runFilePath } from './run-file.ts'

/** What `up` prints: where everything is, and a request to paste. */
export function describeRun(home: string, run: RunFile): string {
  const lines = [
    run.api && `API        ${run.api}   (contract at /openapi.json)`,
    run.operatorKey && `key        ${run.operatorKey}   (operator)`,
    run.kafka && `Kafka      ${run.kafka}`,
    run.postgres && `Postgres   ${run.postgres}`,
    run.jaeger && `Jaeger     ${run.jaeger}`,
    `logs       ${home}/logs`,
    `all of it  ${runFilePath(home)}`,
    run.api &&
      `\ntry        curl -s -H 'authorization: Bearer ${run.operatorKey}' ${run.api}/v1/stages`,
  ]
  return lines.filter(Boolean).join('\n')
}
