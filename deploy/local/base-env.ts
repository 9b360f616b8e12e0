const inherited = [
  ...['PATH', 'HOME', 'LANG', 'TMPDIR', 'JAVA_HOME'],
  ...['NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE'],
]

/** The little of this process' environment that every supervised process gets. */
export function baseEnv(): Record<string, string> {
  const env: Record<string, string> = { LC_ALL: 'C', TZ: 'UTC' }
  for (const name of inherited) {
    const value = process.env[name]
    if (value) env[name] = value
  }
  return env
}
