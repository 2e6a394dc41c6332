// Sends what the suite asks of its server through the proxy on port VIA, in absolute-form.
const http = require('http')
const direct = http.request
http.request = function (options, ...rest) {
  if (String(options.port) !== process.env.npm_config_port) return direct.call(http, options, ...rest)
  const server = `${options.hostname || options.host}:${options.port}`
  return direct.call(http, {
    ...options,
    path: `http://${server}${options.path}`,
    hostname: '127.0.0.1',
    host: '127.0.0.1',
    port: Number(process.env.VIA),
    agent: undefined,
    headers: { ...options.headers, host: server }
  }, ...rest)
}
