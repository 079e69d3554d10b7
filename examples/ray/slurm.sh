#!/bin/bash
# Without Ray: Slurm starts one process a node, and TF_CONFIG tells each of them who it is.
#   sbatch --nodes 8 --ntasks-per-node 1 --gres gpu:8 slurm.sh --data /shared/coco --batch-size 512
# Not tried by the project, which has no Slurm.
#SBATCH --job-name keras-focal
#SBATCH --requeue
srun bash -c '
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:12345\"/" | paste -sd,)
export TF_CONFIG="{\"cluster\": {\"worker\": [$hosts]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
exec python train.py --name "job-$SLURM_JOB_ID" --save-dir /shared/logs --continue "$@"
' train "$@"
