import { WeirError } from '@weir/contracts'

/**
 * Guards a publish: with `If-Match: "<version>"` it happens only while that version is current, with
 * `*` only where there is one. `currentVersion` is 0 where there is none. Throws `version_conflict`.
 */
export function checkIfMatch(header: string | undefined, currentVersion: number): void {
  if (header === undefined) return
  const wanted = header.split(',').map((tag) => tag.trim())
  const isMatch = wanted.includes('*') || wanted.includes(`"${currentVersion}"`)
  if (isMatch && currentVersion > 0) return
  const there =
    currentVersion === 0 ? 'There is no version' : `Version ${currentVersion} is current`
  throw new WeirError('version_conflict', `${there}, not ${header.slice(0, 100)}.`, {
    members: { currentVersion },
  })
}
