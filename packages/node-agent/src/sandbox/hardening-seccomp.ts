/**
 * The system calls a cell has no use for, as a seccomp filter: classic BPF as the kernel reads it, and as bubblewrap and setpriv take it.
 * A cell has one socket, files of its own to read, threads and memory; everything else a process can ask of Linux is refused with an
 * error, so that what a guest that broke out of V8 may try against the kernel is little.
 *
 * Promises:
 * F1. No socket of any kind, no signal to anybody, no process, no other process's memory, no namespace, no mount, no io_uring, no keys,
 *     no System V or POSIX queue or segment, no change of identity.
 * F2. No file is opened for writing, made, moved, changed or removed.
 * F3. Refused means EPERM (or ENOSYS where a library then takes the older way), never death: what a library probes for goes on.
 *
 * One call stays that one would not give: execve, since the launchers install the filter before they start the cell. What it starts is
 * under the same filter, in a file system that holds Node and nothing else.
 */

/** `name:x64:arm64`, -1 where the machine has no such call. */
const REFUSED = {
  processes: 'fork:57:-1 vfork:58:-1',
  signals:
    'kill:62:129 tkill:200:130 tgkill:234:131 rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 pidfd_send_signal:424:424 pidfd_open:434:434 pidfd_getfd:438:438',
  others:
    'ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 process_madvise:440:440 process_mrelease:448:448 kcmp:312:272 migrate_pages:256:238 move_pages:279:239',
  sockets:
    'socket:41:198 socketpair:53:199 connect:42:203 bind:49:200 listen:50:201 accept:43:202 accept4:288:242 sendto:44:206 sendmsg:46:211 sendmmsg:307:269 recvmsg:47:212 recvmmsg:299:243',
  mounts:
    'unshare:272:97 setns:308:268 mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 mount_setattr:442:442 move_mount:429:429 open_tree:428:428 fsopen:430:430 fsconfig:431:431 fsmount:432:432 fspick:433:433',
  kernel:
    'bpf:321:280 perf_event_open:298:241 userfaultfd:323:282 init_module:175:105 finit_module:313:273 delete_module:176:106 kexec_load:246:104 kexec_file_load:320:294 reboot:169:142 swapon:167:224 swapoff:168:225 acct:163:89 quotactl:179:60 quotactl_fd:443:443 syslog:103:116 vhangup:153:58 sethostname:170:161 setdomainname:171:162 personality:135:92 modify_ldt:154:-1 iopl:172:-1 ioperm:173:-1 settimeofday:164:170 clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171 lookup_dcookie:212:18 nfsservctl:180:42 uselib:134:-1 ustat:136:-1 sysfs:139:-1 _sysctl:156:-1 fanotify_init:300:262 fanotify_mark:301:263 name_to_handle_at:303:264 open_by_handle_at:304:265 memfd_secret:447:447',
  keys: 'add_key:248:217 request_key:249:218 keyctl:250:219',
  asyncIo:
    'io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427 io_setup:206:0 io_submit:209:2 io_destroy:207:1 io_getevents:208:4 io_cancel:210:3',
  ipc: 'shmget:29:194 shmat:30:196 shmctl:31:195 shmdt:67:197 semget:64:190 semop:65:193 semctl:66:191 semtimedop:220:192 msgget:68:186 msgsnd:69:189 msgrcv:70:188 msgctl:71:187 mq_open:240:180 mq_unlink:241:181 mq_timedsend:242:182 mq_timedreceive:243:183 mq_notify:244:184 mq_getsetattr:245:185',
  files:
    'creat:85:-1 mknod:133:-1 mknodat:259:33 mkdir:83:-1 mkdirat:258:34 rmdir:84:-1 unlink:87:-1 unlinkat:263:35 rename:82:-1 renameat:264:38 renameat2:316:276 link:86:-1 linkat:265:37 symlink:88:-1 symlinkat:266:36 truncate:76:45 ftruncate:77:46 fallocate:285:47 chmod:90:-1 fchmod:91:52 fchmodat:268:53 chown:92:-1 fchown:93:55 lchown:94:-1 fchownat:260:54 utime:132:-1 utimes:235:-1 futimesat:261:-1 utimensat:280:88 setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16',
  identity:
    'setuid:105:146 setgid:106:144 setreuid:113:145 setregid:114:143 setresuid:117:147 setresgid:119:149 setgroups:116:159 setfsuid:122:151 setfsgid:123:152 capset:126:91',
} as const;

/** Calls looked at more closely, [x64, arm64]. */
const SPECIAL = { clone: [56, 220], clone3: [435, 435], open: [2, -1], openat: [257, 56], openat2: [437, 437] } as const;

const MACHINES: Readonly<Record<string, { readonly column: 0 | 1; readonly audit: number }>> = {
  x64: { column: 0, audit: 0xc000003e },
  arm64: { column: 1, audit: 0xc00000b7 },
};

// Instructions of classic BPF and answers of seccomp (linux/bpf_common.h, linux/seccomp.h).
const [LOAD, EQUAL, AT_LEAST, ANY_BIT, ANSWER] = [0x20, 0x15, 0x35, 0x45, 0x06];
const [ALLOW, ERRNO, KILL] = [0x7fff0000, 0x00050000, 0x80000000];
const [EPERM, EACCES, ENOSYS] = [1, 13, 38];
/** Where struct seccomp_data has them; arguments are 8 bytes each, the low half first on both machines. */
const [NUMBER_AT, MACHINE_AT] = [0, 4];
const argumentAt = (index: number): number => 16 + 8 * index;
/** Calls of the x32 ABI begin here. */
const X32 = 0x40000000;
const CLONE_THREAD = 0x00010000;
/** New mount, cgroup, uts, ipc, user, pid and net namespaces. */
const CLONE_NEW = 0x7e020000;
/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC. */
const WRITES = 0o1 | 0o2 | 0o100 | 0o1000;

type Instruction = readonly [code: number, yes: number, no: number, value: number];

const answer = (value: number): Instruction => [ANSWER, 0, 0, value];
/** What follows is done for this call only; it must end in an answer. */
const onCall = (call: number, body: readonly Instruction[]): Instruction[] =>
  call < 0 ? [] : [[EQUAL, 0, body.length, call], ...body];

/**
 * The filter as bytes.
 * @param arch as in `process.arch`
 * @returns undefined for a machine whose numbers are not known here
 */
export function seccompFilter(arch: string): Buffer | undefined {
  const machine = MACHINES[arch];
  if (machine === undefined) return undefined;
  const { column, audit } = machine;
  const writing = (argument: number): Instruction[] => [
    [LOAD, 0, 0, argumentAt(argument)],
    [ANY_BIT, 0, 1, WRITES],
    answer(ERRNO | EACCES),
    answer(ALLOW),
  ];
  const program: Instruction[] = [
    [LOAD, 0, 0, MACHINE_AT],
    [EQUAL, 1, 0, audit],
    answer(KILL),
    [LOAD, 0, 0, NUMBER_AT],
    ...(arch === 'x64' ? ([[AT_LEAST, 0, 1, X32], answer(ERRNO | ENOSYS)] as Instruction[]) : []),
    ...onCall(SPECIAL.openat[column], writing(2)),
    ...onCall(SPECIAL.open[column], writing(1)),
    ...onCall(SPECIAL.clone[column], [
      [LOAD, 0, 0, argumentAt(0)],
      [ANY_BIT, 2, 0, CLONE_NEW],
      [ANY_BIT, 0, 1, CLONE_THREAD],
      answer(ALLOW),
      answer(ERRNO | EPERM),
    ]),
    // Their arguments are behind pointers a filter cannot follow; libraries fall back to clone and openat.
    ...onCall(SPECIAL.clone3[column], [answer(ERRNO | ENOSYS)]),
    ...onCall(SPECIAL.openat2[column], [answer(ERRNO | ENOSYS)]),
    ...refusedCalls(column).flatMap((call) => onCall(call, [answer(ERRNO | EPERM)])),
    answer(ALLOW),
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, yes, no, value], at) => {
    bytes.writeUInt16LE(code, 8 * at);
    bytes[8 * at + 2] = yes;
    bytes[8 * at + 3] = no;
    bytes.writeUInt32LE(value >>> 0, 8 * at + 4);
  });
  return bytes;
}

const refusedCalls = (column: 0 | 1): number[] =>
  Object.values(REFUSED)
    .flatMap((list) => list.split(' '))
    .map((entry) => Number(entry.split(':')[column + 1]))
    .filter((call) => call >= 0);
