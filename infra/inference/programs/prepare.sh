# Runs as root at each start of a machine of a warm pool, with IMAGE, HOOK and AWS_DEFAULT_REGION set: pulls
# the image unless the disk has it, then completes the lifecycle hook, for which Auto Scaling waits. A machine
# that could not pull it completes the hook as well: the agent will pull the image for the task.
metadata() {
    token=$(curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
    curl -sS -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}
pull() {
    for _ in $(seq 60); do docker info > /dev/null 2>&1 && break; sleep 1; done
    docker image inspect "$IMAGE" > /dev/null 2>&1 && return
    registry=${IMAGE%%/*}
    aws ecr get-login-password | docker login --username AWS --password-stdin "$registry" || return
    docker pull --quiet "$IMAGE"
    docker logout "$registry"
}
command -v aws > /dev/null || dnf install --assumeyes --quiet awscli-2
pull
instance=$(metadata instance-id)
group=$(aws autoscaling describe-auto-scaling-instances --instance-ids "$instance" \
    --query 'AutoScalingInstances[0].AutoScalingGroupName' --output text)
aws autoscaling complete-lifecycle-action --lifecycle-hook-name "$HOOK" --auto-scaling-group-name "$group" \
    --instance-id "$instance" --lifecycle-action-result CONTINUE
