/** Entry of the platform's image: `platform.ts control|dispatcher|ledger|watchdog|migrate|secrets|register`. */

const roles: Readonly<Record<string, () => Promise<unknown>>> = {
  control: () => import('../../services/control/src/main.ts'),
  dispatcher: () => import('../../services/dispatcher/src/main.ts'),
  ledger: () => import('../../services/ledger/src/main.ts'),
  watchdog: () => import('../../services/watchdog/src/main.ts'),
  migrate: () => import('../migrate.ts'),
  secrets: () => import('./secrets.ts'),
  register: () => import('./register.ts'),
}

const role = roles[process.argv[2] ?? '']
if (role === undefined) {
  process.stderr.write(`weir: the command must be one of ${Object.keys(roles).join(', ')}\n`)
  process.exitCode = 2
} else {
  await role()
}
