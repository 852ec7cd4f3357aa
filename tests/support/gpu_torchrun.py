"""Part of gpu_check.py: one process under `torchrun`, which on a GPU talks by NCCL.

The same weights as without it; once as it is, and once with all that several processes send.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from gpu_runs import STEADY, apart, fault, train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
# the sums of one process are exact; batch normalisation over processes is another kernel
LIMITS = {"torchrun": 0, "collectives": 1e-3}


def rows(device, quick):
    """What the collectives give, and how far the weights are apart."""
    yield "collectives", *collectives(device)
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        under = [*TORCHRUN, STEADY[1]]
        ended = {"straight": train(STEADY, folder / "straight", device)}
        ended["torchrun"] = train(under, folder / "torchrun", device)
        ended["collectives"] = train(under, folder / "collectives", device, COLLECTIVES="1")
        yield "exit status", ended, fault(ended, {})
        for name, limit in LIMITS.items():
            yield f"{name}, over straight", *apart(folder / "straight", folder / name, limit)


def collectives(device):
    """The line that the process under torchrun prints."""
    command = [*TORCHRUN, __file__, device]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(said.stdout)
    lines = [line for line in said.stdout.splitlines() if line.startswith("sums")]
    return lines and lines[0], None if said.returncode == 0 and lines else "failed"


def talk(device):
    """Add up, gather and send on the device with the only process there is."""
    import torch
    import torch.distributed as dist

    from mmlib.devices import pick_device
    from mmlib.parallel import start_processes, stop_processes

    start_processes()
    x = torch.arange(4.0, device=pick_device(device))
    own, parts = x.clone(), [torch.empty_like(x)]
    dist.all_reduce(own)
    dist.all_gather(parts, x)
    dist.broadcast(x, 0)
    assert torch.equal(own, x) and torch.equal(parts[0], x)
    print(f"sums {own.tolist()} by {dist.get_backend_config()} on {x.device}")
    stop_processes()


if __name__ == "__main__":
    talk(sys.argv[1])
