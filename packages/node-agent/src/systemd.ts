/**
 * Tells systemd how we are: READY, STOPPING, and the watchdog's beat. Node cannot send to an AF_UNIX datagram socket, so
 * systemd's own `systemd-notify` does it (NotifyAccess=all). Without NOTIFY_SOCKET nothing happens.
 * Protocol: sd_notify(3), sd_watchdog_enabled(3).
 */
import { execFile } from 'node:child_process';
import type { Clock, Logger, Timer } from '@cim/contracts';

export interface Notifier {
  ready(status: string): void;
  stopping(): void;
  /** Beats only while `alive` says so: a daemon that hangs must not look well. */
  watch(alive: () => boolean): void;
  stop(): void;
}

export function createNotifier(
  environment: {
    readonly NOTIFY_SOCKET?: string | undefined;
    readonly WATCHDOG_USEC?: string | undefined;
    readonly PATH?: string | undefined;
  },
  clock: Clock,
  log: Logger,
): Notifier {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, PATH } = environment;
  let timer: Timer | undefined;
  const notify = (...lines: string[]) => {
    if (!NOTIFY_SOCKET) return;
    execFile('systemd-notify', lines, { env: { NOTIFY_SOCKET, PATH: PATH ?? '/usr/bin:/bin' }, timeout: 5_000 }, (error) => {
      if (error) log.warn({ error: error.message }, 'systemd-notify failed');
    });
  };
  return {
    ready: (status) => notify('--ready', `--status=${status}`),
    stopping: () => notify('STOPPING=1'),
    watch(alive) {
      const usec = Number(WATCHDOG_USEC);
      if (!NOTIFY_SOCKET || !(usec > 0)) return;
      timer = clock.every(usec / 2000, () => {
        if (alive()) notify('WATCHDOG=1');
      });
    },
    stop: () => timer?.cancel(),
  };
}
