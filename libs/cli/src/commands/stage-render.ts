import type { Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import { toYaml } from '../output/output.ts'
import { toCompose, toKubernetes } from '../render-stage.ts'

type RenderFlags = {
  readonly target?: 'compose' | 'k8s'
  readonly image?: string
  readonly brokers?: string
  readonly namespace?: string
  readonly kafkaSecret?: string
  readonly prometheus?: string
}

export const renderStage: Run<RenderFlags> = async (context, flags) => {
  const { out, say } = context
  const ref = context.args[0] as string
  const { target = 'compose', brokers = 'kafka:9092', namespace = 'weir' } = flags
  if (!/^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$/.test(brokers)) {
    throw usage(`--brokers takes host:port, comma separated, not "${brokers}"`)
  }
  const { stages } = await context.connect()
  const stage = await stages.get(ref)
  const image = flags.image ?? stage.spec.image
  if (image === undefined) {
    throw new Failure(`${ref} is registered without an image, or the key is not an operator's`, {
      exitCode: exitCodes.failure,
      code: 'no_image',
      hint: 'give one with --image',
    })
  }
  const { kafkaSecret, prometheus } = flags
  const options = {
    image,
    brokers,
    namespace,
    ...(kafkaSecret !== undefined && { kafkaSecret }),
    ...(prometheus !== undefined && { prometheus }),
  }
  if (target === 'compose') {
    out.line((await toYaml(toCompose(stage, options))).trimEnd())
    return
  }
  const documents = await Promise.all(toKubernetes(stage, options).map(toYaml))
  out.line(documents.map((text) => text.trimEnd()).join('\n---\n'))
  const name = ref.replace('@', '-')
  say(
    `its key, once: kubectl -n ${namespace} create secret generic weir-stage-${name} --from-file=stage-key=FILE`,
  )
}
