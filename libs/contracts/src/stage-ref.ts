declare const brand: unique symbol
/** `name@major`, for example `locate@1`: what a step names and a topic is made for. */
export type StageRef = string & { readonly [brand]: 'StageRef' }

const REF = /^([a-z][a-z0-9-]{0,39})@([1-9][0-9]{0,3})$/

/** The parts of a stage reference, or undefined where the text is none. */
export function parseStageRef(
  text: string,
): { ref: StageRef; name: string; major: number } | undefined {
  const match = REF.exec(text)
  if (match === null) return undefined
  return { ref: text as StageRef, name: match[1] as string, major: Number(match[2]) }
}

const VERSION = /^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})$/

/** The reference under which a stage's version runs: `locate`, `1.0.1` → `locate@1`. */
export function stageRefOf(name: string, version: string): StageRef {
  const match = VERSION.exec(version)
  if (match === null)
    throw new Error(`stage ${name}: version "${version}" is not major.minor.patch`)
  const parsed = parseStageRef(`${name}@${match[1]}`)
  if (parsed === undefined) throw new Error(`"${name}@${match[1]}" is not a stage reference`)
  return parsed.ref
}
