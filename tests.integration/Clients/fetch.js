// Gets a URL through HTTPS_PROXY with nothing but Node's own modules, which trust what Node trusts: its own roots and NODE_EXTRA_CA_CERTS.
const url = new URL(process.argv[2]);
const proxy = new URL(process.env.HTTPS_PROXY);
const target = `${url.hostname}:${url.port || 443}`;
require('http').request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target, headers: { host: target } })
  .on('connect', (_, socket) => require('https')
    .get(url, { headers: { host: url.host }, createConnection: () => require('tls').connect({ socket, servername: url.hostname }) }, answer => {
      console.log(answer.statusCode);
      answer.resume().on('end', () => process.exit(0));
    })
    .on('error', error => { console.error(error); process.exit(1); }))
  .on('error', error => { console.error(error); process.exit(1); })
  .end();
