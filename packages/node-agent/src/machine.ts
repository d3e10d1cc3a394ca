/**
 * Facts the node finds out about its machine. Read anew for every heartbeat where they change; nothing here is configured.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import type { MachineFacts } from '@cim/contracts';

/** GPUs as the kernel shows them: NVIDIA's proc entries, else DRM render nodes. */
async function detectGpus(proc = '/proc/driver/nvidia/gpus', dri = '/dev/dri'): Promise<string[]> {
  try {
    const ids = await readdir(proc);
    return ids.map((id) => {
      const model = /^Model:\s*(.+)$/m.exec(readFileSync(`${proc}/${id}/information`, 'utf8'))?.[1];
      return model?.trim() ?? `nvidia ${id}`;
    });
  } catch {
    // No NVIDIA driver: look for render nodes of any other.
  }
  try {
    return (await readdir(dri)).filter((name) => name.startsWith('renderD')).map((name) => `dri ${name}`);
  } catch {
    return [];
  }
}

export interface MachineReader {
  read(): MachineFacts;
}

/**
 * @param directory the state directory: its file system is the disk that matters
 * @param versions what runs here beside Node, e.g. the leaf's nats-server
 */
export async function machineReader(
  directory: string,
  versions: () => Readonly<Record<string, string>>,
): Promise<MachineReader> {
  const gpus = await detectGpus();
  const release = osRelease();
  return {
    read() {
      const disk = statfsSync(directory);
      return {
        arch: os.arch(),
        kernel: os.release(),
        os: release,
        // Not os.cpus(): it is empty where /proc is restricted to processes.
        cores: os.availableParallelism(),
        memoryBytes: os.totalmem(),
        memoryFreeBytes: os.freemem(),
        diskBytes: disk.blocks * disk.bsize,
        diskFreeBytes: disk.bavail * disk.bsize,
        loadAverage: os.loadavg()[0] ?? 0,
        gpus: [...gpus],
        versions: { ...versions() },
      };
    },
  };
}

function osRelease(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? os.type();
  } catch {
    return os.type();
  }
}
