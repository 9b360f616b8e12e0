import { LOST_REASONS, limits, type TaskReport } from '@weir/contracts'

/** Whether a report says what a handler tells of its work; such reports are counted and bounded. */
export const isTold = ({ status }: TaskReport): boolean =>
  status === 'progress' || status === 'event' || status === 'events_lost' || status === 'artifact'

/** The number under which a handler told it; 0 for what is not told, undefined for what is not valid. */
export function toldNumber({
  status,
  progress,
  event,
  lost,
  artifact,
}: TaskReport): number | undefined {
  switch (status) {
    case 'progress':
      return Number.isFinite(progress?.done) && Number.isFinite(progress?.total ?? 0)
        ? positive(progress?.n)
        : undefined
    case 'event':
      return isText(event?.name, limits.eventNameLength) ? positive(event?.n) : undefined
    case 'events_lost':
      return (LOST_REASONS as readonly unknown[]).includes(lost?.reason) &&
        positive(lost?.count) !== undefined &&
        positive(lost?.from) !== undefined
        ? positive(lost?.to)
        : undefined
    case 'artifact':
      return isText(artifact?.name, limits.artifactNameLength) &&
        isText(artifact?.mediaType, MEDIA_TYPE_MAX) &&
        isText(artifact?.digest, DIGEST_MAX) &&
        Number.isSafeInteger(artifact?.bytes) &&
        (artifact?.bytes as number) >= 0
        ? positive(artifact?.n)
        : undefined
    default:
      return 0
  }
}

const MEDIA_TYPE_MAX = 200
const DIGEST_MAX = 64

const positive = (n: unknown): number | undefined =>
  Number.isSafeInteger(n) && (n as number) > 0 ? (n as number) : undefined
const isText = (text: unknown, max: number): boolean =>
  typeof text === 'string' && text !== '' && text.length <= max
