import { readFileSync } from 'node:fs'
import { runCommand } from './command.ts'
import { LauncherError } from './errors.ts'

/** The ids PostgreSQL runs under when they differ from ours. */
export type Account = { readonly uid: number; readonly gid: number }

const names = ['postgres', 'nobody']

/**
 * PostgreSQL refuses to run as root, and initdb wants its user to be in /etc/passwd: as root, an
 * existing unprivileged account is taken; undefined for every other user.
 */
export function chooseAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const entries = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of names) {
    const entry = entries.find(([login]) => login === name)
    if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) }
  }
  throw new LauncherError(
    'postgres_unusable',
    `PostgreSQL cannot run as root, and there is no account ${names.join(' or ')} to run it as. ` +
      'Run Weir as another user, or set WEIR_POSTGRES_URL to a server of your own.',
  )
}

/** Whether the account may enter a folder, or run a program, at this path. */
export async function canReach(account: Account | undefined, path: string): Promise<boolean> {
  const check = await runCommand(['test', '-x', path], { ...account, cwd: '/', timeoutMs: 10_000 })
  return check.code === 0
}
