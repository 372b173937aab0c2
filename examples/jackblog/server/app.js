// A small HTTP API: `GET /` answers with what it is and how long it has been up.
'use strict';
const http = require('http');

const port = Number(process.env.PORT || 9000);
const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({
    app: process.env.name,
    mode: process.env.NODE_ENV,
    uptime: Math.round(process.uptime()),
  }) + '\n');
});
server.on('error', (error) => {
  console.error(`cannot listen on ${port}: ${error.message}`);
  process.exit(1);
});
server.listen(port, () => console.log(`listening on ${server.address().port}`));

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    console.log(`${signal}: closing`);
    server.close(() => process.exit(0));
    if (server.closeIdleConnections) server.closeIdleConnections();
  });
}
