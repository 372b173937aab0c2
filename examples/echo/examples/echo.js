// Says "ok" every `-d` seconds (default 1).
'use strict';
const at = process.argv.indexOf('-d');
const seconds = at > 0 ? Number(process.argv[at + 1]) : 1;
console.log(`echo ${process.env.NODE_APP_INSTANCE}: every ${seconds} s`);
setInterval(() => console.log('ok'), seconds * 1000);
