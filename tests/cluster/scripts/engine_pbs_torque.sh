#!/usr/bin/env bash

#PBS -N multiscale
#PBS -l nodes=1:ppn=4,mem=8gb
#PBS -l walltime=01:00:00
#PBS -e LOGS/
#PBS -o LOGS/

PYTHON -m distributed.cli.dask_worker SCHEDULER --name dummy-name --nthreads 1 --memory-limit 1.86GiB --nworkers 4 --nanny --death-timeout 60 --no-dashboard --preload multiscale.coordination.engine.worker_start --lifetime 3330s --lifetime-stagger 90s
