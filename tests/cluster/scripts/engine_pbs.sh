#!/usr/bin/env bash

#PBS -N multiscale
#PBS -q workq
#PBS -l select=1:ncpus=4:mem=7630MB
#PBS -l walltime=25:00:00
#PBS -e LOGS/
#PBS -o LOGS/

PYTHON -m distributed.cli.dask_worker SCHEDULER --name dummy-name --nthreads 2 --memory-limit 3.73GiB --nworkers 2 --nanny --death-timeout 60 --no-dashboard --preload multiscale.coordination.engine.worker_start --lifetime 83250s --lifetime-stagger 2250s
