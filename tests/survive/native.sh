#!/bin/sh
# native - programs of the object machine: a bank, audited from outside, and games of tetris, key by key, each of which ends as it always does. /s/native counts the audits.
fail()
{
	echo "native FAILED $*" >>/s/native.failed
	echo "native FAILED $*" >/dev/console
	exit 1
}

play()
{
	while :; do
		for keys in aa. ww. dd. ss. a..s d.w. sss a.s.s ddd. wss as.s dws. aaas w.ss ds.s aws. ddss a.ss wds. ss.s aass dwss .... ssss asws ddds .s.s wasd sdss assd wwss adss ssss \
			ssss dsss asss wsss ssss aaas ddds ssws ssss dass ssss; do
			printf %s $keys
			sleep 0.1
		done | pvm run .programs.tetris steps >game 2>&1
		[ "$(tail -n 1 game)" = "+----------+ 9 points, 0 rows" ] || fail "a game: $(cat game)"
	done
}

mkdir -p /root/native
cd /root/native || fail "cd"
plc -w /usr/share/phantom/*.ph || fail "plc"
pvm run .programs.start_bank 10 4 100000000 >bank 2>&1 &
bank=$!/objects/bank
play &
audits=0 attempts=0
while :; do
	if said=$(pvm call $bank audit 2>&1); then
		audits=$((audits + 1))
		if [ $((audits % 4)) = 0 ] && now=$(pvm call $bank attempts 2>&1); then
			[ "$now" -ge "$attempts" ] || fail "$now attempts, there were $attempts"
			attempts=$now
		fi
		echo "native alive $audits" >/s/.native && mv /s/.native /s/native
	else
		case $said in
		*"the sum is"* | *.internal.error.* | *uncaught*) fail "$said" ;;
		esac
	fi
	sleep 0.2
done
