//! The dashboard that compares hosts: which of them is worst, and in what.

use crate::grafana::{Dashboard, Draw, Panel, Row};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "nodes",
        title: "Nodes compared",
        description: "All hosts beside each other: who is busiest, fullest, slowest, oldest, and whose clock is wrong.",
        base_metric: "node_uname_info",
        variables: &[],
        rows: vec![
            glance(),
            Row {
                title: "Hosts",
                panels: vec![table()],
            },
            processors(),
            memory(),
            disks(),
            network(),
            differences(),
        ],
    }
}

const REAL: &str = "fstype!~\"tmpfs|ramfs|squashfs|overlay\"";

const BUSY: &str = "1 - avg by (cluster, instance) (rate(node_cpu_seconds_total{mode=\"idle\",SELECT}[$__rate_interval]))";
const MEMORY: &str =
    "1 - node_memory_MemAvailable_bytes{SELECT} / node_memory_MemTotal_bytes{SELECT}";

fn fullest() -> String {
    format!(
        "max by (cluster, instance) (1 - node_filesystem_avail_bytes{{{REAL},SELECT}} / (node_filesystem_size_bytes{{{REAL},SELECT}} > 0))"
    )
}

fn busiest_disk() -> &'static str {
    "max by (cluster, instance) (rate(node_disk_io_time_seconds_total{SELECT}[$__rate_interval]))"
}

/// One row for each host; a click leads to it.
pub(crate) fn table() -> Panel {
    Panel::table("Hosts", "Each host with what it is short of. A click on its name shows all of it.")
        .size(24, 10)
        .column("Up", "bool_yes_no", "max by (cluster, instance) (up{SELECT})")
        .column("Jobs down", "none", "sum by (cluster, instance) (1 - up{SELECT})")
        .column("Uptime", "s", "max by (cluster, instance) (node_time_seconds{SELECT} - node_boot_time_seconds{SELECT})")
        .column("CPUs", "none", "count by (cluster, instance) (node_cpu_seconds_total{mode=\"idle\",SELECT})")
        .column("CPU busy", "percentunit", BUSY)
        .column("Load", "none", "max by (cluster, instance) (node_load1{SELECT})")
        .column("Memory", "bytes", "max by (cluster, instance) (node_memory_MemTotal_bytes{SELECT})")
        .column("Memory used", "percentunit", "max by (cluster, instance) (1 - node_memory_MemAvailable_bytes{SELECT} / node_memory_MemTotal_bytes{SELECT})")
        .column("Fullest disk", "percentunit", &fullest())
        .column("Disk busy", "percentunit", busiest_disk())
        .column("Received", "Bps", "sum by (cluster, instance) (rate(node_network_receive_bytes_total{device!=\"lo\",SELECT}[$__rate_interval]))")
        .column("Sent", "Bps", "sum by (cluster, instance) (rate(node_network_transmit_bytes_total{device!=\"lo\",SELECT}[$__rate_interval]))")
}

fn worst(title: &'static str, description: &'static str, expr: &str) -> Panel {
    Panel::stat(title, "percentunit", description)
        .thresholds(0.8, 0.95)
        .max(1.0)
        .leads_to("node")
        .query(&format!("topk by (cluster) (1, {expr})"), "{{instance}}")
}

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Hosts", "none", "Hosts whose node-exporter answers.")
                .floor(1.0)
                .leads_to("overview")
                .query(
                    "sum by (cluster) (max by (cluster, instance) (up{SELECT}))",
                    "{{cluster}}",
                ),
            worst(
                "Busiest processors",
                "The host whose processors are busiest, and how busy they are.",
                BUSY,
            ),
            worst(
                "Least memory left",
                "The host with the least memory left, and what part of it is used.",
                MEMORY,
            ),
            worst(
                "Fullest file system",
                "The host with the fullest file system, and how full it is.",
                &fullest(),
            ),
            worst(
                "Busiest disk",
                "The host with the busiest disk, and for what part of the time it had something to do.",
                busiest_disk(),
            ),
            Panel::stat(
                "Worst clock",
                "s",
                "The host whose clock is farthest from its time server's. Cassandra orders writes by clocks: half a second is much.",
            )
            .thresholds(0.1, 0.5)
            .leads_to("node")
            .query(
                "topk by (cluster) (1, abs(node_timex_offset_seconds{SELECT}))",
                "{{instance}}",
            ),
        ],
    }
}

fn processors() -> Row {
    Row {
        title: "Processors",
        panels: vec![
            Panel::lines("Busy", "percentunit", "Part of each host's processors' time that is not idle.")
                .size(12, 8)
                .max(1.0)
                .query(BUSY, "{{instance}}"),
            Panel::lines("Load per CPU", "none", "Processes that run or wait, for each processor. Above 1 they wait for each other.")
                .size(12, 8)
                .query("node_load1{SELECT} / on (cluster, instance, job) group_left () count by (cluster, instance, job) (node_cpu_seconds_total{mode=\"idle\",SELECT})", "{{instance}}"),
            Panel::lines("Waits for a processor", "percentunit", "Part of the time in which something could have run and had no processor (PSI).")
                .max(1.0)
                .query("rate(node_pressure_cpu_waiting_seconds_total{SELECT}[$__rate_interval])", "{{instance}}")
                .without("node_pressure_cpu_waiting_seconds_total", "kernels with CONFIG_PSI, which is switched on"),
            Panel::lines("Stolen", "percentunit", "Part of the processors' time that the hypervisor gave to others: burst credits are spent, or the neighbours are loud.")
                .max(1.0)
                .query("avg by (cluster, instance) (rate(node_cpu_seconds_total{mode=\"steal\",SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("Waits for disks", "percentunit", "Part of the processors' time that was idle because a disk was slow.")
                .max(1.0)
                .query("avg by (cluster, instance) (rate(node_cpu_seconds_total{mode=\"iowait\",SELECT}[$__rate_interval]))", "{{instance}}"),
        ],
    }
}

fn memory() -> Row {
    Row {
        title: "Memory",
        panels: vec![
            Panel::lines("Used", "percentunit", "Part of each host's memory that programs cannot have any more.")
                .max(1.0)
                .query(MEMORY, "{{instance}}"),
            Panel::lines("Waits for memory", "percentunit", "Part of the time in which something waited for memory (PSI). More than a few per cent: too little of it.")
                .max(1.0)
                .query("rate(node_pressure_memory_waiting_seconds_total{SELECT}[$__rate_interval])", "{{instance}}")
                .without("node_pressure_memory_waiting_seconds_total", "kernels with CONFIG_PSI, which is switched on"),
            Panel::lines("Major faults", "ops", "Pages that had to be read from a disk. Many for long: too little memory.")
                .query("rate(node_vmstat_pgmajfault{SELECT}[$__rate_interval])", "{{instance}}"),
        ],
    }
}

fn disks() -> Row {
    Row {
        title: "Disks",
        panels: vec![
            Panel::bars("Space used", "percentunit", "Part of its space that is used, of the ten fullest file systems.")
                .size(12, 9)
                .max(1.0)
                .thresholds(0.85, 0.95)
                .leads_to("node")
                .query(&format!("sort_desc(topk by (cluster) (10, 1 - node_filesystem_avail_bytes{{{REAL},SELECT}} / (node_filesystem_size_bytes{{{REAL},SELECT}} > 0)))"), "{{instance}} {{mountpoint}}"),
            Panel::lines("Time in use", "percentunit", "Part of the time in which each host's busiest disk had something to do.")
                .size(12, 9)
                .max(1.0)
                .query(busiest_disk(), "{{instance}}"),
            Panel::lines("Read", "Bps", "Bytes read a second, by host.")
                .query("sum by (cluster, instance) (rate(node_disk_read_bytes_total{SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("Written", "Bps", "Bytes written a second, by host.")
                .query("sum by (cluster, instance) (rate(node_disk_written_bytes_total{SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("Waits for disks", "percentunit", "Part of the time in which something waited for a disk (PSI).")
                .max(1.0)
                .query("rate(node_pressure_io_waiting_seconds_total{SELECT}[$__rate_interval])", "{{instance}}")
                .without("node_pressure_io_waiting_seconds_total", "kernels with CONFIG_PSI, which is switched on"),
        ],
    }
}

fn network() -> Row {
    Row {
        title: "Network",
        panels: vec![
            Panel::lines("Received", "Bps", "Bytes a second that each host received.")
                .query("sum by (cluster, instance) (rate(node_network_receive_bytes_total{device!=\"lo\",SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("Sent", "Bps", "Bytes a second that each host sent.")
                .query("sum by (cluster, instance) (rate(node_network_transmit_bytes_total{device!=\"lo\",SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::lines("Sent again", "percentunit", "Part of the TCP segments that had to be sent again. Above 1 %: the network loses packets.")
                .max(1.0)
                .query("rate(node_netstat_Tcp_RetransSegs{SELECT}[$__rate_interval]) / (rate(node_netstat_Tcp_OutSegs{SELECT}[$__rate_interval]) > 0)", "{{instance}}")
                .rare("a host that sends nothing"),
            Panel::lines("Damaged and dropped", "pps", "Packets a second that were damaged or thrown away.")
                .size(12, 8)
                .query("sum by (cluster, instance) (rate(node_network_receive_errs_total{SELECT}[$__rate_interval]) + rate(node_network_transmit_errs_total{SELECT}[$__rate_interval]))", "{{instance}} damaged")
                .query("sum by (cluster, instance) (rate(node_network_receive_drop_total{SELECT}[$__rate_interval]) + rate(node_network_transmit_drop_total{SELECT}[$__rate_interval]))", "{{instance}} dropped"),
            Panel::lines("Connections", "none", "TCP connections that stand.")
                .size(12, 8)
                .query("node_netstat_Tcp_CurrEstab{SELECT}", "{{instance}}"),
        ],
    }
}

fn differences() -> Row {
    Row {
        title: "Differences",
        panels: vec![
            Panel::lines(
                "Clock against its time server",
                "s",
                "How far the kernel's clock is from the time server's.",
            )
            .size(12, 8)
            .signed()
            .query("node_timex_offset_seconds{SELECT}", "{{instance}}"),
            Panel::lines(
                "Uptime",
                "s",
                "Time since each host was started. A fall that nobody planned is a crash.",
            )
            .size(12, 8)
            .query(
                "node_time_seconds{SELECT} - node_boot_time_seconds{SELECT}",
                "{{instance}}",
            ),
            Panel::stat(
                "Kernels",
                "none",
                "Hosts by kernel. More than one for long: somebody was forgotten.",
            )
            .size(12, 5)
            .neutral()
            .query(
                "count by (cluster, release) (node_uname_info{SELECT})",
                "{{release}}",
            ),
            Panel::stat("Distributions", "none", "Hosts by distribution.")
                .size(12, 5)
                .neutral()
                .query(
                    "count by (cluster, pretty_name) (node_os_info{SELECT})",
                    "{{pretty_name}}",
                ),
            Panel::stat("Agents", "none", "Hosts by version of node-exporter.")
                .size(24, 4)
                .neutral()
                .query(
                    "count by (cluster, version) (node_exporter_build_info{SELECT})",
                    "{{version}}",
                ),
            Panel::lines(
                "Failed units",
                "none",
                "Units of systemd that have failed, by host.",
            )
            .size(24, 6)
            .draw(Draw::Lines)
            .query(
                "node_systemd_units{state=\"failed\",SELECT}",
                "{{instance}}",
            )
            .without(
                "node_systemd_units",
                "hosts where node-exporter asks systemd",
            ),
        ],
    }
}
