# shellcheck shell=sh
# Adds Jolokia to Cassandra's JVM when that cannot keep Cassandra from starting. cassandra-env.sh sources it, as its last line:
#
#   . /etc/cassandra/jolokia.sh
#
# A JVM ends when an agent does not load: no jar, a broken one, one for a newer Java, options that it does not take. So the agent is
# tried in a JVM of its own first, with the same options but for the port, and left out when that fails, which one line on standard
# error says. JVM_OPTS is all that is changed.
#
# May be set before: JOLOKIA_JAR (the agent; empty means none), JOLOKIA_CONFIG (its options, with the password), JOLOKIA_TIMEOUT
# (seconds that the trial may take).

jolokia_argument() (
	jar=${JOLOKIA_JAR-/usr/share/cassandra/jolokia.jar}
	config=${JOLOKIA_CONFIG-/etc/cassandra/jolokia.properties}
	java=${JAVA:-${JAVA_HOME:+$JAVA_HOME/bin/}java}
	without() {
		echo "jolokia.sh: Cassandra starts without Jolokia: $1" >&2
		exit 0
	}
	option() { sed -n "s/^[[:space:]]*$1[[:space:]]*[=:][[:space:]]*//p" "$config" | tail -n 1; }

	[ -n "$jar" ] || exit 0
	case $jar$config in *[[:space:],=]*)
		without "a path with a space, a comma or an equals sign: $jar, $config" ;;
	esac
	[ -r "$jar" ] || without "there is no agent at $jar"
	[ -r "$config" ] || without "$(id -un) cannot read $config"
	case $(stat -L -c %a "$config") in *[1-7])
		without "others can read the password in $config; chmod 600 it" ;;
	esac
	# Without a policy Jolokia lets anything be done; with one that it cannot read it answers nothing.
	policy=$(option policyLocation | sed 's/\\//g; s|^file:/*|/|')
	[ -r "$policy" ] || without "$config names no policy (policyLocation) that can be read, found '$policy'"

	# A JVM that breaks off writes files into its folder. Any port will do: the real one may be in use until the old node is gone.
	cd / && ulimit -c 0
	# What the shell says of a program that breaks off goes the way of what the program says.
	said=$(
		exec 2>&1 </dev/null
		timeout -k 2 "${JOLOKIA_TIMEOUT:-20}" "$java" -Xmx64m -XX:ErrorFile=/dev/null "-javaagent:$jar=config=$config,port=0" \
			-cp "$jar" org.jolokia.jvmagent.client.AgentLauncher version || exit $?
	) || case $? in
	124 | 137) without "$jar is not loaded within ${JOLOKIA_TIMEOUT:-20} s" ;;
	126 | 127) without "there is no Java to try it with: $java" ;;
	*)
		for sign in '^Caused by' Exception Error .; do
			reason=$(printf '%s\n' "$said" | grep -m 1 "$sign") && break
		done
		without "$jar does not load: $reason"
		;;
	esac
	echo "-javaagent:$jar=config=$config"
)

# nodetool reads cassandra-env.sh too.
case ${0##*/} in
nodetool) ;;
*)
	jolokia_found=$(jolokia_argument)
	JVM_OPTS="${JVM_OPTS:-}${jolokia_found:+ $jolokia_found}"
	unset jolokia_found
	;;
esac
unset -f jolokia_argument
