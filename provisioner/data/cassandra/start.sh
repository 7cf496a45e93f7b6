# shellcheck shell=sh
# Starts Cassandra with what this machine has. cassandra.service runs it.

conf=CONFIGURATION
lib=PROGRAMS/cassandra/lib
JAVA=PROGRAMS/java/bin/java
given_heap=HEAP

# MiB of heap for kB of memory: at 64 GB and more 24 GB, at 32 GB 16, at 16 GB 8, below a third. Machines have a little less than they are
# called by; and never more than a half, as Cassandra needs as much again outside, and the rest keeps files.
heap_for() {
	mib=$(($1 / 1024))
	if [ "$mib" -ge 61440 ]; then heap=24576
	elif [ "$mib" -ge 30720 ]; then heap=16384
	elif [ "$mib" -ge 15360 ]; then heap=8192
	else heap=$((mib / 3)); fi
	[ "$heap" -le $((mib / 2)) ] || heap=$((mib / 2))
	[ "$heap" -ge 256 ] || heap=256
	echo "$heap"
}

# Threads that write: eight for each processor; compactions at a time: one for two of them. Reads wait for the disk, of which there is one.
threads_for() {
	writes=$(($1 * 8))
	[ "$writes" -ge 32 ] || writes=32
	[ "$writes" -le 256 ] || writes=256
	compactors=$(($1 / 2))
	[ "$compactors" -ge 1 ] || compactors=1
	[ "$compactors" -le 8 ] || compactors=8
	echo "-Dcassandra.settings.concurrent_writes=$writes -Dcassandra.settings.concurrent_compactors=$compactors"
}

# What changes after this is not in the one that runs.
: >/run/cassandra/started || exit 1
heap=${given_heap:-$(heap_for "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)")}
# More of Java's arguments may come from a drop-in of systemd's.
JVM_OPTS="-Xms${heap}m -Xmx${heap}m $(threads_for "$(nproc)") ${CASSANDRA_JAVA_OPTIONS:-}"
# Regions of a small heap are as small as Java makes them: large ones would leave it few.
[ "$heap" -lt 8192 ] || JVM_OPTS="$JVM_OPTS -XX:G1HeapRegionSize=16m"
for jar in "$lib"/jamm-*.jar; do
	[ ! -f "$jar" ] || JVM_OPTS="$JVM_OPTS -javaagent:$jar"
done
# shellcheck source=/dev/null
[ ! -r JOLOKIA/jolokia.sh ] || . JOLOKIA/jolokia.sh
# shellcheck disable=SC2086
exec "$JAVA" "@$conf/modules.options" "@$conf/jvm.options" $JVM_OPTS -cp "$conf:$lib/*" org.apache.cassandra.service.CassandraDaemon
