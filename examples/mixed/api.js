// Answers every request on 127.0.0.1:PORT.
'use strict';
const http = require('http');
const server = http.createServer((request, response) => response.end('hello from node\n'));
server.listen(Number(process.env.PORT || 8081), '127.0.0.1', () => console.log('node listens'));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => console.log('node ends'));
    if (server.closeIdleConnections) server.closeIdleConnections();
  });
}
