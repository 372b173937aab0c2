// Lives for three seconds, then fails: watch it come back in `rsm-init ctl status`.
'use strict';
console.log('bus: here for 3 s');
setTimeout(() => {
  console.error('bus: broke down');
  process.exit(1);
}, 3000);
