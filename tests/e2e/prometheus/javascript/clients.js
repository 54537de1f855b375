// What editors and dashboards ask of a Prometheus: the client of Prometheus's own editor (codemirror-promql), and that of
// Perses's data source. Prints what they were told, as JSON. Arguments: the URL, and the time of the newest sample.

const { HTTPPrometheusClient } = require('@prometheus-io/codemirror-promql/dist/cjs/client/prometheus.js');
const perses = require('@perses-dev/prometheus-plugin/lib/cjs/model/prometheus-client.js');

const [url, newest] = process.argv.slice(2);
const failed = (error) => {
  throw error;
};

async function editor(httpMethod) {
  const client = new HTTPPrometheusClient({ url, httpMethod, lookbackInterval: 3600e3, httpErrorHandler: failed });
  const metadata = await client.metricMetadata();
  return {
    metrics: (await client.metricNames()).sort(),
    labels: (await client.labelNames('queue_length')).sort(),
    zones: await client.labelValues('zone', 'queue_length', []),
    series: (await client.series('queue_length', [], '')).map((labels) => labels.zone).sort(),
    jobs: metadata.jobs_total[0].type,
    flags: typeof (await client.flags()),
  };
}

async function dataSource() {
  const options = { datasourceUrl: url };
  const at = { query: 'sum(queue_length)', time: newest };
  const range = { query: 'jobs_total', start: Number(newest) - 60, end: Number(newest), step: 30 };
  const values = ({ data }) => data.result.map((row) => row.values.map((sample) => sample[1]));
  return {
    healthy: await perses.healthCheck(options)(),
    instant: (await perses.instantQuery(at, options)).data.result[0].value[1],
    range: values(await perses.rangeQuery(range, options)),
    labels: (await perses.labelNames({ 'match[]': ['queue_length'] }, options)).data,
    values: (await perses.labelValues({ labelName: 'zone' }, options)).data,
    series: (await perses.series({ 'match[]': ['jobs_total'] }, options)).data.length,
    metadata: (await perses.metricMetadata({ metric: 'jobs_total' }, options)).data.jobs_total[0].type,
    tree: (await perses.parseQuery({ query: 'sum(queue_length)' }, options)).data.type,
    refused: await perses.instantQuery({ query: 'sum(' }, options).catch((error) => error.status),
  };
}

async function all() {
  console.log(JSON.stringify({ get: await editor('GET'), post: await editor('POST'), perses: await dataSource() }));
}

all().catch((error) => {
  console.error(error);
  process.exit(1);
});
