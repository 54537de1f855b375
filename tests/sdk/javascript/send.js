// Sends telemetry by the OpenTelemetry SDK for JavaScript, and prints what the SDK recorded as JSON: the
// counterpart of ../python/send.py, which says how rows and values are written.
//
// JavaScript has one type of number: the SDK sends whole ones as ints, so ints end at 2^53 - 1 here. Times are
// those of the SDK's clock, [seconds, nanoseconds].
//
// Usage: node send.js signals|spans PROTOCOL SERVICE
// PROTOCOL is grpc, http/protobuf or http/json. Packages are found by NODE_PATH.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const api = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { ExportResultCode } = require('@opentelemetry/core');
const { AggregationTemporalityPreference } = require('@opentelemetry/exporter-metrics-otlp-http');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const {
  AggregationTemporality,
  AggregationType,
  DataPointType,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const TEXT = 'grüße, 世界 \u{1f30d} "quoted" back\\slash\nline\ttab\u0001';

const ATTRIBUTES = {
  'text': TEXT,
  'text.empty': '',
  'bool.true': true,
  'bool.false': false,
  'int.min': Number.MIN_SAFE_INTEGER,
  'int.max': Number.MAX_SAFE_INTEGER,
  'int.zero': 0,
  'double.tenth': 0.1,
  'double.min': Number.MIN_VALUE,
  'double.negative': -1.5e-300,
  'texts': ['a', '', TEXT],
  'bools': [true, false],
  'ints': [Number.MIN_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER],
  'doubles': [0.1, 1, -2.5],
  'empty': [],
  // These have a column of their own.
  'http.request.method': 'GET',
  'http.response.status_code': 503,
  'http.route': '/grüße/{name}',
  'server.address': 'cart.shop',
  'server.port': 8080,
  // This has one for text: the number fills it as text, and stays in the map.
  'url.path': 7,
};

// The exporters lose these in JSON, which has no such numbers.
const NOT_FINITE = { 'double.nan': NaN, 'doubles.not_finite': [Infinity, -Infinity] };

// The exporters write these as integers, and only JSON can hold such: in protobuf other numbers come out.
const BEYOND_INT64 = { 'double.max': Number.MAX_VALUE, 'doubles.beyond': [2 ** 63, -1e19, 2 ** 64, 1e300] };

// What a log record may hold beside.
const OF_LOGS = {
  'bytes': new Uint8Array([0, 255]),
  'map': { z: [1, '1', 1.5, null, { deep: true }], a: new Uint8Array([1]), empty: {} },
  'nothing': null,
};

const SCOPE_VERSION = '1.2.3';
const SCOPE = { schemaUrl: 'https://opentelemetry.io/schemas/1.36.0' };

function integer(value) {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

function isInt64(value) {
  return Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63;
}

function nanos([seconds, nanoseconds]) {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

function double(value) {
  return Number.isFinite(value) ? value : String(value);
}

function typed(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return { b: value };
  if (typeof value === 'number') return isInt64(value) ? { i: integer(value) } : { d: double(value) };
  if (typeof value === 'string') return { s: value };
  if (value instanceof Uint8Array) return { y: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return { '[': value.map(typed) };
  return { '{': typedMap(value) };
}

function typedMap(attributes) {
  return Object.fromEntries(Object.entries(attributes ?? {}).map(([key, value]) => [key, typed(value)]));
}

function origin(resource, scope) {
  const ofScope = typedMap(scope.attributes);
  return {
    resource: typedMap(resource.attributes),
    resource_schema_url: resource.schemaUrl ?? null,
    resource_dropped_attributes_count: 0,
    scope_name: scope.name,
    scope_version: scope.version || null,
    scope_attributes: Object.keys(ofScope).length > 0 ? ofScope : null,
    scope_schema_url: scope.schemaUrl || null,
    scope_dropped_attributes_count: 0,
  };
}

// The W3C flags; bit 8: it is known whether the context is remote; bit 9: it is.
function flags(context, isRemote) {
  return context.traceFlags | 0x100 | (isRemote ? 0x200 : 0);
}

function* spanRows(spans) {
  for (const span of spans) {
    const context = span.spanContext();
    yield ['spans', {
      time_unix_nano: integer(nanos(span.startTime)),
      duration_nano: integer(nanos(span.endTime) - nanos(span.startTime)),
      trace_id: context.traceId,
      span_id: context.spanId,
      parent_span_id: span.parentSpanContext?.spanId ?? null,
      trace_state: context.traceState?.serialize() || null,
      flags: flags(context, span.parentSpanContext?.isRemote),
      name: span.name,
      kind: span.kind + 1,
      status_code: span.status.code,
      status_message: span.status.message || null,
      dropped_attributes_count: span.droppedAttributesCount,
      dropped_events_count: span.droppedEventsCount,
      dropped_links_count: span.droppedLinksCount,
      attributes: typedMap(span.attributes),
      events: span.events.map((event) => ({
        time_unix_nano: integer(nanos(event.time)),
        name: event.name,
        attributes: typedMap(event.attributes),
        dropped_attributes_count: event.droppedAttributesCount ?? 0,
      })),
      links: span.links.map((link) => ({
        trace_id: link.context.traceId,
        span_id: link.context.spanId,
        trace_state: link.context.traceState?.serialize() ?? '',
        attributes: typedMap(link.attributes),
        dropped_attributes_count: link.droppedAttributesCount ?? 0,
        flags: flags(link.context, link.context.isRemote),
      })),
      ...origin(span.resource, span.instrumentationScope),
    }];
  }
}

function* logRows(records) {
  for (const record of records) {
    yield ['logs', {
      time_unix_nano: integer(nanos(record.hrTime)),
      observed_time_unix_nano: integer(nanos(record.hrTimeObserved)),
      severity_number: record.severityNumber ?? 0,
      severity_text: record.severityText || null,
      body: typed(record.body),
      event_name: record.eventName || null,
      trace_id: record.spanContext?.traceId ?? null,
      span_id: record.spanContext?.spanId ?? null,
      flags: record.spanContext?.traceFlags ?? 0,
      dropped_attributes_count: record.droppedAttributesCount,
      attributes: typedMap(record.attributes),
      ...origin(record.resource, record.instrumentationScope),
    }];
  }
}

function* metricRows({ resource, scopeMetrics }) {
  for (const { scope, metrics } of scopeMetrics) {
    for (const metric of metrics) {
      for (const point of metric.dataPoints) {
        const [table, shape] = pointShape(metric, point.value);
        yield [table, {
          time_unix_nano: integer(nanos(point.endTime)),
          start_time_unix_nano: integer(nanos(point.startTime)),
          metric_name: metric.descriptor.name,
          metric_description: metric.descriptor.description || null,
          metric_unit: metric.descriptor.unit || null,
          flags: 0,
          // This SDK has none.
          exemplars: [],
          attributes: typedMap(point.attributes),
          ...origin(resource, scope),
          ...shape,
        }];
      }
    }
  }
}

// The table of a data point, and what it has beside what all points have.
function pointShape(metric, value) {
  const temporality = metric.aggregationTemporality === AggregationTemporality.DELTA ? 1 : 2;
  const isInt = metric.descriptor.valueType === api.ValueType.INT;
  const number = { value: double(value), value_int: isInt ? integer(value) : null };
  const { count, sum, min, max } = value;
  const distribution = { aggregation_temporality: temporality, count, sum, min: min ?? null, max: max ?? null };
  switch (metric.dataPointType) {
    case DataPointType.GAUGE:
      return ['metric_points', { ...number, metric_type: 'gauge' }];
    case DataPointType.SUM: {
      const sum = { metric_type: 'sum', aggregation_temporality: temporality, is_monotonic: metric.isMonotonic };
      return ['metric_points', { ...number, ...sum }];
    }
    case DataPointType.HISTOGRAM: {
      const { boundaries, counts } = value.buckets;
      return ['metric_histograms', { ...distribution, explicit_bounds: boundaries, bucket_counts: counts }];
    }
    default:
      return ['metric_exp_histograms', {
        ...distribution,
        scale: value.scale,
        zero_count: value.zeroCount,
        zero_threshold: 0,
        positive_offset: value.positive.offset,
        positive_bucket_counts: value.positive.bucketCounts,
        negative_offset: value.negative.offset,
        negative_bucket_counts: value.negative.bucketCounts,
      }];
  }
}

// What exporters have sent with success, by table.
class Recorded {
  constructor(protocol) {
    this.package = { 'grpc': 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }[protocol];
    this.tables = {};
    this.underWay = 0;
    this.failed = 0;
  }

  // An exporter of the SDK that notes here what it has sent.
  exporter(signal, name, rowsOf, options) {
    const recorded = this;
    const Exporter = require(`@opentelemetry/exporter-${signal}-otlp-${this.package}`)[name];
    return new (class extends Exporter {
      export(batch, done) {
        recorded.underWay += 1;
        // Read before it is sent: metrics are collected again meanwhile.
        const rows = [...rowsOf(batch)];
        super.export(batch, (result) => {
          recorded.underWay -= 1;
          if (result.code === ExportResultCode.SUCCESS) {
            for (const [table, row] of rows) (recorded.tables[table] ??= []).push(row);
          } else {
            recorded.failed += 1;
          }
          done(result);
        });
      }
    })(options);
  }

  spanExporter() {
    return this.exporter('trace', 'OTLPTraceExporter', spanRows);
  }

  logExporter() {
    return this.exporter('logs', 'OTLPLogExporter', logRows);
  }

  metricExporter(temporalityPreference) {
    return this.exporter('metrics', 'OTLPMetricExporter', metricRows, { temporalityPreference });
  }
}

async function sendSpans(recorded, resource, attributes) {
  const processors = [1, 2].map(() => new BatchSpanProcessor(recorded.spanExporter()));
  const limits = ['attributeCount', 'eventCount', 'linkCount', 'attributePerEventCount', 'attributePerLinkCount'];
  const oneOfEach = Object.fromEntries(limits.map((limit) => [`${limit}Limit`, 1]));
  const tracer = new BasicTracerProvider({ resource, spanProcessors: [processors[0]] })
    .getTracer('sdk.spans', SCOPE_VERSION, SCOPE);
  const remote = {
    traceId: 'abcdef0123456789abcdef0123456789',
    spanId: '0123456789abcdef',
    isRemote: true,
    traceFlags: api.TraceFlags.SAMPLED,
    traceState: api.createTraceState('vendor=value,other=a:b'),
  };
  const caller = api.trace.setSpanContext(api.ROOT_CONTEXT, remote);
  const server = tracer.startSpan('GET /grüße/{name}', { kind: api.SpanKind.SERVER, attributes }, caller);
  const inServer = api.trace.setSpan(api.ROOT_CONTEXT, server);
  for (const kind of [api.SpanKind.CLIENT, api.SpanKind.PRODUCER, api.SpanKind.CONSUMER, api.SpanKind.INTERNAL]) {
    const span = tracer.startSpan(`a span that is ${api.SpanKind[kind]}`, { kind }, inServer);
    span.setStatus({ code: api.SpanStatusCode.OK });
    span.end();
  }
  server.addEvent('an event', attributes);
  server.addEvent('a second', { number: 2 }, Date.now() - 123.456);
  server.recordException(new RangeError(TEXT));
  server.setStatus({ code: api.SpanStatusCode.ERROR, message: TEXT });
  server.end();
  const second = Math.floor(Date.now() / 1000);
  // A root span with times of its own, down to the nanosecond.
  const links = [{ context: remote, attributes }, { context: server.spanContext() }];
  const linked = tracer.startSpan('linked', { links, startTime: [second - 3601, 999_999_999] });
  linked.end([second, 1]);
  const many = { a: 1, b: 2, c: 3 };
  const limited = new BasicTracerProvider({ resource, spanLimits: oneOfEach, spanProcessors: [processors[1]] })
    .getTracer('sdk.limited')
    .startSpan('limited', { attributes: many, links: [1, 2].map(() => ({ context: remote, attributes: many })) });
  for (const name of ['first', 'second', 'third']) limited.addEvent(name, many);
  limited.end();
  for (const processor of processors) await processor.forceFlush();
  return inServer;
}

async function sendLogs(recorded, resource, attributes, inSpan) {
  const processor = new BatchLogRecordProcessor({ exporter: recorded.logExporter() });
  const provider = new LoggerProvider({ resource, processors: [processor] });
  const scope = { ...SCOPE, attributes: { ...OF_LOGS, text: TEXT } };
  const logger = provider.getLogger('sdk.logs', SCOPE_VERSION, scope);
  const values = { ...attributes, ...OF_LOGS };
  for (const [number, body] of [...Object.values(values), undefined].entries()) {
    const severityNumber = (number % 24) + 1;
    logger.emit({
      timestamp: [Math.floor(Date.now() / 1000), number],
      severityNumber,
      severityText: SeverityNumber[severityNumber],
      body,
      attributes: { 'test.number': number, ...(number < 2 ? values : {}) },
      eventName: number % 3 === 0 ? 'an.event' : undefined,
      context: number % 2 === 0 ? api.ROOT_CONTEXT : inSpan,
    });
  }
  await processor.forceFlush();
}

async function sendMetrics(recorded, resource, temporality) {
  const exporter = recorded.metricExporter(AggregationTemporalityPreference[temporality]);
  // Collected by hand.
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const aggregation = { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 20 } };
  const views = [{ instrumentName: 'test.exponential', aggregation }];
  const provider = new MeterProvider({ resource, readers: [reader], views });
  const meter = provider.getMeter(`sdk.metrics.${temporality}`, SCOPE_VERSION, SCOPE);
  const INT = { valueType: api.ValueType.INT };
  const ints = meter.createCounter('test.counter.int', { unit: 'By', description: TEXT, ...INT });
  const doubles = meter.createCounter('test.counter.double', { unit: 's' });
  const upDown = meter.createUpDownCounter('test.up_down', INT);
  const gauge = meter.createGauge('test.gauge', { unit: 'Cel' });
  const histogram = meter.createHistogram('test.histogram', {
    unit: 'ms',
    advice: { explicitBucketBoundaries: [0, 0.1, 10, 1e9] },
  });
  const byDefault = meter.createHistogram('test.histogram.default');
  const exponential = meter.createHistogram('test.exponential', { unit: 'ms' });
  const observe = (create, name, value, options) =>
    meter[create](name, options).addCallback((result) => result.observe(value, { of: 'a callback' }));
  observe('createObservableCounter', 'test.observed.counter', Number.MAX_SAFE_INTEGER, INT);
  observe('createObservableUpDownCounter', 'test.observed.up_down', -0.5);
  observe('createObservableGauge', 'test.observed.gauge', Number.MIN_SAFE_INTEGER, INT);
  for (const collection of [0, 1]) {
    for (const attributes of [{}, { text: TEXT, int: 1, bool: true, texts: ['a', 'b'] }]) {
      ints.add(2 ** 52 - collection, attributes);
      doubles.add(0.1 + collection, attributes);
      upDown.add(-7, attributes);
      gauge.record(-40.25 - collection, attributes);
      for (const value of [0, 0.1, 0.3, 11, 1e10]) {
        histogram.record(value, attributes);
        byDefault.record(value, attributes);
        exponential.record(value, attributes);
      }
    }
    await reader.forceFlush();
    // The SDK's clock has milliseconds: no two collections in the same one.
    await sleep(2);
  }
}

async function sendUntilToldToStop(recorded, resource) {
  let isToldToStop = false;
  process.stdin.on('end', () => { isToldToStop = true; }).resume();
  const options = { scheduledDelayMillis: 20, maxExportBatchSize: 64 };
  const processor = new BatchSpanProcessor(recorded.spanExporter(), options);
  const tracer = new BasicTracerProvider({ resource, spanProcessors: [processor] }).getTracer('sdk.many');
  for (let number = 0; !isToldToStop; number += 1) {
    tracer.startSpan(`span ${number}`, { attributes: { 'test.number': number } }).end();
    await sleep(10);
  }
  await processor.forceFlush();
  while (recorded.underWay > 0) await sleep(10);
}

async function main() {
  const [what, protocol, service] = process.argv.slice(2);
  const say = (...words) => console.error(...words);
  // Of the details only that something is sent again: whoever started this waits for that.
  const detail = (text) => { if (text.includes('retry in')) say(text); };
  api.diag.setLogger({ verbose: detail, debug() {}, info: say, warn: say, error: say }, api.DiagLogLevel.ALL);
  const recorded = new Recorded(protocol);
  const own = { text: TEXT, ints: [1, 2], double: 0.5 };
  const attributes = { 'service.name': service, 'service.version': '1.2.3', ...own };
  const resource = resourceFromAttributes(attributes, { schemaUrl: 'https://opentelemetry.io/schemas/1.37.0' });
  if (what === 'spans') {
    await sendUntilToldToStop(recorded, resource);
  } else {
    const values = { ...ATTRIBUTES, ...(protocol === 'http/json' ? BEYOND_INT64 : NOT_FINITE) };
    const inSpan = await sendSpans(recorded, resource, values);
    await sendLogs(recorded, resource, values, inSpan);
    for (const temporality of ['CUMULATIVE', 'DELTA']) await sendMetrics(recorded, resource, temporality);
  }
  if (recorded.failed > 0) throw new Error(`${recorded.failed} exports failed`);
  process.stdout.write(JSON.stringify(recorded.tables), () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
