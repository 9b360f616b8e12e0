/**
 * Name under which a stage of the suites runs: that of its process, without the number of the
 * instance (`act`, `act.2`). One file can so stand for several stages.
 */
export const stageName = (process.env.WEIR_SERVICE_NAME ?? 'act')
  .replace(/^stage-/, '')
  .split('.')[0] as string
