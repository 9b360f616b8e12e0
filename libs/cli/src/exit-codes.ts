/** What the command's exit status says. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  auth: 4,
  conflict: 5,
  timedOut: 6,
  unreachable: 7,
  partial: 8,
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** For the reference and for help. */
export const exitCodeMeanings: readonly (readonly [number, string])[] = [
  [0, 'done; for `diff`: nothing differs'],
  [1, 'failed, also a job that failed under `--exit-status`; for `diff`: something differs'],
  [2, 'the command line is wrong'],
  [3, 'there is no such thing'],
  [4, 'no, a bad, or a too small credential'],
  [5, 'conflict: another state, another version, an incompatible contract'],
  [6, 'still going on when the time to wait was over'],
  [7, 'the server cannot be reached'],
  [8, 'done in part; a job that ended `completed_with_failures` under `--exit-status`'],
  [130, 'interrupted'],
]
