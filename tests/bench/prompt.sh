# The first prompt says when it came.
export PS1='$(/bench/tsc)# '
