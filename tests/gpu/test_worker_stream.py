"""The worker's own CUDA stream beside the caller's: what only an accelerator can show."""

import pytest
import torch

from oner.utils.worker import Worker

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

SIDE, JOBS = 1024, 20


def test_jobs_read_tensors_after_the_caller_wrote_them_and_before_their_memory_is_used_again():
    device = torch.device("cuda")
    weight = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(device) / SIDE**0.5
    done = []
    worker = Worker(lambda x: done.append((x @ weight).cpu()), device)
    for i in range(JOBS):
        x = torch.full((SIDE, SIDE), 0.5, device=device)
        for _ in range(10):  # the caller's stream is still busy when the job is handed over
            x = x @ weight + i
        worker.add(x)
        del x  # the allocator may give its memory to the next round
    worker.close()
    worker.check()

    for i, found in enumerate(done):
        x = torch.full((SIDE, SIDE), 0.5, device=device)
        for _ in range(10):
            x = x @ weight + i
        assert torch.equal(found, (x @ weight).cpu())
    assert len(done) == JOBS


def test_a_job_runs_outside_the_streams_of_the_caller():
    streams = []
    worker = Worker(lambda x: streams.append(torch.cuda.current_stream(x.device)), torch.device("cuda"))
    worker.add(torch.zeros(1, device="cuda"))
    worker.close()
    assert streams == [worker.stream]
    assert worker.stream != torch.cuda.current_stream()


def test_a_job_may_bring_a_tensor_from_the_cpu():
    device, done = torch.device("cuda"), []
    worker = Worker(lambda x: done.append(x.to(device) + 1), device)
    worker.add(torch.arange(4.0))
    worker.close()
    worker.check()
    assert done[0].tolist() == [1, 2, 3, 4]
