#!/bin/bash

# Parameters
#SBATCH --account=grid
#SBATCH --array=0-19%8
#SBATCH --cpus-per-task=2
#SBATCH --error=FOLDER/%A_%a_0_log.err
#SBATCH --job-name=multiscale
#SBATCH --mem=4GB
#SBATCH --nodes=1
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/%A_%a_0_log.out
#SBATCH --partition=short
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=5
#SBATCH --wckey=submitit

# setup
module load gcc

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output FOLDER/%A_%a_%t_log.out --error FOLDER/%A_%a_%t_log.err PYTHON -u -m submitit.core._submit FOLDER
