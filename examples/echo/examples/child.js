// One of several; stays until it is told to stop.
'use strict';
console.log(`api ${process.env.NODE_APP_INSTANCE}: ready, pid ${process.pid}`);
const alive = setInterval(() => {}, 1 << 30);
process.on('SIGINT', () => {
  console.log(`api ${process.env.NODE_APP_INSTANCE}: bye`);
  clearInterval(alive);
});
