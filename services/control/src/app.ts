import { asTenant, getTenant, insertAudit } from '@weir/postgres'
import fastify from 'fastify'
import { noteOf } from './audit/note-problem.ts'
import { addAuthentication } from './auth/authenticate.ts'
import type { Control } from './control.ts'
import { addBodyParsers } from './http/body-parsers.ts'
import { checkContentType } from './http/content-type.ts'
import { addErrorEdge, answerFrameworkError, answerSocketError } from './http/error-edge.ts'
import { addOpenapi } from './http/openapi.ts'
import { addRequestLog } from './http/request-log.ts'
import { addRequestScope } from './http/request-scope.ts'
import { addRouteChecks } from './http/route-config.ts'
import type { App } from './http/type-provider.ts'
import { compileValidator } from './http/validator.ts'
import { addArtifactRoutes } from './routes/artifacts.ts'
import { addAuditRoutes } from './routes/audit.ts'
import { addBatchRoutes } from './routes/batch.ts'
import { addCancelRoutes } from './routes/cancel.ts'
import { addFlowRoutes } from './routes/flow.ts'
import { addHealthRoutes } from './routes/health.ts'
import { addJobRoutes } from './routes/jobs.ts'
import { addKeyRoutes } from './routes/keys.ts'
import { addPipelineRoutes } from './routes/pipelines.ts'
import { addSelfRoutes } from './routes/self.ts'
import { addStageRoutes } from './routes/stages.ts'
import { addSubmitRoutes } from './routes/submit.ts'
import { addTenantRoutes } from './routes/tenants.ts'

const SMALL_BODY_BYTES = 64 * 1024
const HEADER_BYTES = 16 * 1024
const PARAM_LENGTH_MAX = 256
/** How long a request may take to arrive, and a connection may be silent: a wait is up to 60 s. */
const REQUEST_MS = 30_000
const SILENT_MS = 75_000

/**
 * The HTTP application; nothing is listened to. The order of the hooks matters: ids and span first,
 * then who calls and what they may, then what the body claims to be; only then is it read.
 */
export async function buildApp(control: Control): Promise<App> {
  const app: App = fastify({
    logger: false,
    bodyLimit: SMALL_BODY_BYTES,
    requestTimeout: REQUEST_MS,
    connectionTimeout: SILENT_MS,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX, caseSensitive: true },
    exposeHeadRoutes: false,
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    http: { maxHeaderSize: HEADER_BYTES },
    clientErrorHandler: answerSocketError,
    frameworkErrors: answerFrameworkError,
  })
  app.setValidatorCompiler(compileValidator)
  // Answers are written as they are; that they have the shape of their schemas is for the tests.
  app.setSerializerCompiler(() => JSON.stringify)
  addRouteChecks(app)
  addErrorEdge(app, {
    log: control.log,
    onProblem: (request, problem) => {
      const note = noteOf(request, problem)
      if (note !== undefined) control.audit.note(note)
    },
  })
  addRequestScope(app)
  addRequestLog(app, control.log, control.metrics, control.refusals)
  addAuthentication(app, {
    operatorKey: control.operatorKey,
    keys: control.keys,
    findTenant: async (id) => (await getTenant(asTenant(control.pool, id), id))?.name,
    audit: (tenant, entry) => insertAudit(asTenant(control.pool, tenant), tenant, entry),
  })
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.url !== undefined) {
      checkContentType(request, request.routeOptions.config.consumes ?? [])
    }
  })
  addBodyParsers(app)
  await addOpenapi(app)
  addHealthRoutes(app, control)
  addTenantRoutes(app, control)
  addKeyRoutes(app, control)
  addSelfRoutes(app, control)
  addAuditRoutes(app, control)
  addStageRoutes(app, control)
  addFlowRoutes(app, control)
  addPipelineRoutes(app, control)
  addSubmitRoutes(app, control)
  addBatchRoutes(app, control)
  addJobRoutes(app, control)
  addArtifactRoutes(app, control)
  addCancelRoutes(app, control)
  await app.ready()
  return app
}
