#!/usr/bin/env bash

#SBATCH -J multiscale
#SBATCH -e LOGS/multiscale-%J.err
#SBATCH -o LOGS/multiscale-%J.out
#SBATCH -p short
#SBATCH -A grid
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH --mem=30G
#SBATCH -t 01:30:00
#SBATCH --qos=long
module load gcc
PYTHON -m distributed.cli.dask_worker SCHEDULER --name dummy-name --nthreads 1 --memory-limit 3.73GiB --nworkers 8 --nanny --death-timeout 60 --no-dashboard --preload multiscale.coordination.engine.worker_start --lifetime 4995s --lifetime-stagger 135s
