//! The dashboard of one host: at a glance, then each resource by utilisation, saturation and errors.

use crate::grafana::{Dashboard, Draw, Panel, Row};

pub(crate) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "node",
        title: "Node",
        description: "One host: processors, memory, disks, file systems, network, services, and the agent that tells of them.",
        base_metric: "node_uname_info",
        variables: &[],
        rows: vec![
            glance(),
            cpu(),
            memory(),
            disk(),
            filesystems(),
            network(),
            system(),
            exporter(),
        ],
    }
}

const PSI: &str = "kernels with CONFIG_PSI, which is switched on";

fn glance() -> Row {
    Row {
        title: "Glance",
        panels: vec![
            Panel::stat("Up", "none", "1 when every chosen job of the instance answers, 0 when one does not: an agent or the host is down.")
                .floor(1.0)
                .query("min by (cluster, instance) (up{SELECT})", "{{instance}}"),
            Panel::stat("Uptime", "s", "Time since the host was started. A small number that nobody planned is a crash.")
                .neutral()
                .query("node_time_seconds{SELECT} - node_boot_time_seconds{SELECT}", "{{instance}}"),
            Panel::stat("CPU busy", "percentunit", "Part of the processors' time that is not idle. Above 90 % for long: too little machine, or a process out of hand.")
                .draw(Draw::Gauge)
                .thresholds(0.7, 0.9)
                .max(1.0)
                .query("1 - avg by (cluster, instance) (rate(node_cpu_seconds_total{mode=\"idle\",SELECT}[$__rate_interval]))", "{{instance}}"),
            Panel::stat("Memory used", "percentunit", "Part of the memory that programs cannot have any more. Above 95 % the kernel begins to kill.")
                .draw(Draw::Gauge)
                .thresholds(0.8, 0.95)
                .max(1.0)
                .query("1 - node_memory_MemAvailable_bytes{SELECT} / node_memory_MemTotal_bytes{SELECT}", "{{instance}}"),
            Panel::stat("Fullest file system", "percentunit", "Part of its space that is used, of the fullest file system. Above 85 %: free or add space.")
                .draw(Draw::Gauge)
                .thresholds(0.85, 0.95)
                .max(1.0)
                .query("max by (cluster, instance) (1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} / (node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} > 0))", "{{instance}}"),
            Panel::stat("Load per CPU", "none", "Processes that run or wait, over one minute, for each processor. Above 1 they wait for each other.")
                .thresholds(1.0, 2.0)
                .query("node_load1{SELECT} / on (cluster, instance, job) group_left () count by (cluster, instance, job) (node_cpu_seconds_total{mode=\"idle\",SELECT})", "{{instance}}"),
            Panel::stat("System", "none", "Kernel and host name.").draw(Draw::Text).size(12, 3).neutral()
                .query("node_uname_info{SELECT}", "{{nodename}} · {{release}}"),
            Panel::stat("Distribution", "none", "The operating system's release.").draw(Draw::Text).size(12, 3).neutral()
                .query("node_os_info{SELECT}", "{{instance}} · {{pretty_name}}"),
        ],
    }
}

fn cpu() -> Row {
    Row {
        title: "CPU",
        panels: vec![
            Panel::lines("CPU by mode", "percentunit", "Where the processors' time goes. Much iowait: slow disks; much steal: the hypervisor gives it to others, or burst credits are spent.")
                .draw(Draw::Stack)
                .size(12, 9)
                .max(1.0)
                .query("avg by (cluster, instance, mode) (rate(node_cpu_seconds_total{mode!=\"idle\",SELECT}[$__rate_interval]))", "{{instance}} {{mode}}"),
            Panel::lines("Load", "none", "Processes that run or wait, over 1, 5 and 15 minutes.")
                .size(6, 9)
                .query("node_load1{SELECT}", "{{instance}} 1m")
                .query("node_load5{SELECT}", "{{instance}} 5m")
                .query("node_load15{SELECT}", "{{instance}} 15m"),
            Panel::lines("Processes", "none", "Processes that run, and those that wait for a disk. Blocked ones that stay: a disk or a mount hangs.")
                .size(6, 9)
                .query("node_procs_running{SELECT}", "{{instance}} running")
                .query("node_procs_blocked{SELECT}", "{{instance}} blocked"),
            Panel::lines("Busy by CPU", "percentunit", "Each processor by itself: one at 100 % is a program of one thread at its limit.")
                .size(12, 8)
                .max(1.0)
                .query("1 - sum by (cluster, instance, cpu) (rate(node_cpu_seconds_total{mode=\"idle\",SELECT}[$__rate_interval]))", "{{instance}} cpu {{cpu}}"),
            Panel::lines("Context switches and interrupts", "ops", "How often the processors change from one thing to another, and are interrupted. Sudden growth: contention or a device out of hand.")
                .size(6, 8)
                .query("rate(node_context_switches_total{SELECT}[$__rate_interval])", "{{instance}} switches")
                .query("rate(node_intr_total{SELECT}[$__rate_interval])", "{{instance}} interrupts"),
            Panel::lines("Processes started", "ops", "New processes a second. Many: something is started again and again.")
                .size(6, 8)
                .query("rate(node_forks_total{SELECT}[$__rate_interval])", "{{instance}}"),
            Panel::lines("Waits for a processor", "percentunit", "Part of the time in which something could have run and had no processor (PSI). More than a few per cent: too few of them.")
                .size(12, 8)
                .max(1.0)
                .query("rate(node_pressure_cpu_waiting_seconds_total{SELECT}[$__rate_interval])", "{{instance}}")
                .without("node_pressure_cpu_waiting_seconds_total", PSI),
            Panel::lines("Stolen", "percentunit", "Part of the processors' time that the hypervisor gave to others: burst credits are spent, or the neighbours are loud.")
                .size(12, 8)
                .max(1.0)
                .query("avg by (cluster, instance) (rate(node_cpu_seconds_total{mode=\"steal\",SELECT}[$__rate_interval]))", "{{instance}}"),
        ],
    }
}

fn memory() -> Row {
    Row {
        title: "Memory",
        panels: vec![
            Panel::lines("Memory", "bytes", "What memory is used for. Cache and buffers are given back when programs need them.")
                .draw(Draw::Stack)
                .size(12, 9)
                .query("node_memory_MemTotal_bytes{SELECT} - node_memory_MemFree_bytes{SELECT} - node_memory_Buffers_bytes{SELECT} - node_memory_Cached_bytes{SELECT} - node_memory_SReclaimable_bytes{SELECT}", "{{instance}} programs")
                .query("node_memory_Cached_bytes{SELECT} + node_memory_SReclaimable_bytes{SELECT}", "{{instance}} cache")
                .query("node_memory_Buffers_bytes{SELECT}", "{{instance}} buffers")
                .query("node_memory_MemFree_bytes{SELECT}", "{{instance}} free"),
            Panel::lines("Page faults", "ops", "Pages that had to be found; the major ones had to be read from a disk. Many major ones: too little memory.")
                .size(6, 9)
                .query("rate(node_vmstat_pgmajfault{SELECT}[$__rate_interval])", "{{instance}} major")
                .query("rate(node_vmstat_pgfault{SELECT}[$__rate_interval])", "{{instance}} all"),
            Panel::lines("Swapped pages", "ops", "Pages that went to and came from swap. More than none for long: too little memory.")
                .size(6, 9)
                .query("rate(node_vmstat_pswpin{SELECT}[$__rate_interval])", "{{instance}} in")
                .query("rate(node_vmstat_pswpout{SELECT}[$__rate_interval])", "{{instance}} out"),
            Panel::lines("Swap", "bytes", "Swap that is used, and all there is. None at all is common on Cassandra nodes, and wanted.")
                .query("node_memory_SwapTotal_bytes{SELECT} - node_memory_SwapFree_bytes{SELECT}", "{{instance}} used")
                .query("node_memory_SwapTotal_bytes{SELECT}", "{{instance}} all"),
            Panel::lines("Promised", "bytes", "Memory that programs were promised, and the kernel's limit of that. Above the limit only matters where overcommit is off.")
                .query("node_memory_Committed_AS_bytes{SELECT}", "{{instance}} promised")
                .query("node_memory_CommitLimit_bytes{SELECT}", "{{instance}} limit"),
            Panel::lines("Dirty and written back", "bytes", "Data that waits to be written to disks. Growth without end: the disks are too slow.")
                .query("node_memory_Dirty_bytes{SELECT}", "{{instance}} dirty")
                .query("node_memory_Writeback_bytes{SELECT}", "{{instance}} being written"),
            Panel::lines("Kernel", "bytes", "What the kernel itself uses. Growth without end: a leak in the kernel or a driver.")
                .query("node_memory_Slab_bytes{SELECT}", "{{instance}} slab")
                .query("node_memory_PageTables_bytes{SELECT}", "{{instance}} page tables")
                .query("node_memory_KernelStack_bytes{SELECT}", "{{instance}} stacks"),
            Panel::lines("Waits for memory", "percentunit", "Part of the time in which something waited for memory, and in which everything did (PSI). More than a few per cent: too little of it.")
                .max(1.0)
                .query("rate(node_pressure_memory_waiting_seconds_total{SELECT}[$__rate_interval])", "{{instance}} something")
                .query("rate(node_pressure_memory_stalled_seconds_total{SELECT}[$__rate_interval])", "{{instance}} everything")
                .without("node_pressure_memory_waiting_seconds_total", PSI),
            Panel::lines("Killed for memory", "none", "Processes that the kernel killed because memory had run out. Each is one too many.")
                .query("increase(node_vmstat_oom_kill{SELECT}[$__rate_interval])", "{{instance}}"),
        ],
    }
}

fn disk() -> Row {
    Row {
        title: "Disks",
        panels: vec![
            Panel::lines("Throughput", "Bps", "Bytes read and written a second.")
                .query("rate(node_disk_read_bytes_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} read")
                .query("rate(node_disk_written_bytes_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} written"),
            Panel::lines("Operations", "iops", "Reads and writes a second. Volumes of clouds have a limit of these.")
                .query("rate(node_disk_reads_completed_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} reads")
                .query("rate(node_disk_writes_completed_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} writes"),
            Panel::lines("Latency", "s", "How long one read or write takes. Cassandra wants reads below 10 ms.")
                .query("rate(node_disk_read_time_seconds_total{SELECT}[$__rate_interval]) / (rate(node_disk_reads_completed_total{SELECT}[$__rate_interval]) > 0)", "{{instance}} {{device}} read")
                .query("rate(node_disk_write_time_seconds_total{SELECT}[$__rate_interval]) / (rate(node_disk_writes_completed_total{SELECT}[$__rate_interval]) > 0)", "{{instance}} {{device}} write")
                .rare("a disk that is not used at the moment"),
            Panel::lines("Time in use", "percentunit", "Part of the time in which a disk had something to do. 100 % is the limit of spinning disks; volumes of clouds bear more.")
                .max(1.0)
                .query("rate(node_disk_io_time_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{device}}"),
            Panel::lines("Queue", "none", "Operations that wait or are done, on average. Growth: the disk does not keep up.")
                .query("rate(node_disk_io_time_weighted_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{device}}"),
            Panel::lines("Discards and flushes", "iops", "Blocks given back to the disk, and demands that data be safe. Many flushes: many commits.")
                .query("rate(node_disk_discards_completed_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} discards")
                .query("rate(node_disk_flush_requests_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} flushes")
                .without("node_disk_flush_requests_total", "kernels since 5.5, and disks that can flush"),
            Panel::lines("Waits for disks", "percentunit", "Part of the time in which something waited for a disk, and in which everything did (PSI).")
                .size(12, 8)
                .max(1.0)
                .query("rate(node_pressure_io_waiting_seconds_total{SELECT}[$__rate_interval])", "{{instance}} something")
                .query("rate(node_pressure_io_stalled_seconds_total{SELECT}[$__rate_interval])", "{{instance}} everything")
                .without("node_pressure_io_waiting_seconds_total", PSI),
            Panel::lines("Held back by EC2", "percentunit", "Part of the time in which a volume, or the instance, was at its limit of operations or of bytes. More than a little: buy more, or ask less.")
                .size(12, 8)
                .max(1.0)
                .query("rate(node_ebs_volume_iops_exceeded_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} volume's operations")
                .query("rate(node_ebs_volume_throughput_exceeded_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} volume's bytes")
                .query("rate(node_ebs_instance_iops_exceeded_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} instance's operations")
                .query("rate(node_ebs_instance_throughput_exceeded_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} instance's bytes")
                .without("node_ebs_volume_iops_exceeded_seconds_total", "EC2 instances with `ebs-stats`"),
        ],
    }
}

fn filesystems() -> Row {
    Row {
        title: "File systems",
        panels: vec![
            Panel::lines("Space used", "percentunit", "Part of its space that each file system has given away. Above 85 %: free or add space.")
                .max(1.0)
                .thresholds(0.85, 0.95)
                .query("1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} / (node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} > 0)", "{{instance}} {{mountpoint}}"),
            Panel::lines("Space left", "bytes", "Bytes that programs can still write.")
                .query("node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT}", "{{instance}} {{mountpoint}}"),
            Panel::lines("Files used", "percentunit", "Part of the file nodes (inodes) that is used. At 100 % no file can be made, however much space is left.")
                .max(1.0)
                .thresholds(0.85, 0.95)
                .query("1 - node_filesystem_files_free{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} / (node_filesystem_files{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} > 0)", "{{instance}} {{mountpoint}}"),
            Panel::lines("Time to full", "s", "How long until each file system is full, at its pace over the chosen time range; none for one that does not fill. Less than a day: act.")
                .size(24, 7)
                .query("node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT} / (-deriv(node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\",SELECT}[$__range]) > 0)", "{{instance}} {{mountpoint}}")
                .rare("no file system fills up"),
            Panel::lines("Read-only", "none", "1 for a file system that takes no writes. Unplanned, it is the kernel's answer to errors of a disk.")
                .size(12, 7)
                .max(1.0)
                .query("node_filesystem_readonly{SELECT}", "{{instance}} {{mountpoint}}"),
            Panel::lines("Does not answer", "none", "1 for a file system whose state cannot be read: a dead NFS or FUSE mount, or a right that is missing.")
                .size(12, 7)
                .max(1.0)
                .query("node_filesystem_device_error{SELECT}", "{{instance}} {{mountpoint}} {{device_error}}"),
        ],
    }
}

fn network() -> Row {
    Row {
        title: "Network",
        panels: vec![
            Panel::lines("Received", "Bps", "Bytes a second from the network, by device.")
                .query("rate(node_network_receive_bytes_total{device!=\"lo\",SELECT}[$__rate_interval])", "{{instance}} {{device}}"),
            Panel::lines("Sent", "Bps", "Bytes a second to the network, by device.")
                .query("rate(node_network_transmit_bytes_total{device!=\"lo\",SELECT}[$__rate_interval])", "{{instance}} {{device}}"),
            Panel::lines("Packets", "pps", "Packets a second. Instances of clouds have a limit of these, too.")
                .query("rate(node_network_receive_packets_total{device!=\"lo\",SELECT}[$__rate_interval])", "{{instance}} {{device}} received")
                .query("rate(node_network_transmit_packets_total{device!=\"lo\",SELECT}[$__rate_interval])", "{{instance}} {{device}} sent"),
            Panel::lines("Errors", "pps", "Packets that were damaged. More than none: a device, a cable, a driver.")
                .size(12, 8)
                .query("rate(node_network_receive_errs_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} received")
                .query("rate(node_network_transmit_errs_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} sent"),
            Panel::lines("Drops", "pps", "Packets that were thrown away for want of room. More than a few: the host does not keep up.")
                .size(12, 8)
                .query("rate(node_network_receive_drop_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} received")
                .query("rate(node_network_transmit_drop_total{SELECT}[$__rate_interval])", "{{instance}} {{device}} sent"),
            Panel::lines("Sent again", "percentunit", "Part of the TCP segments that had to be sent again. Above 1 %: the network loses packets.")
                .max(1.0)
                .query("rate(node_netstat_Tcp_RetransSegs{SELECT}[$__rate_interval]) / (rate(node_netstat_Tcp_OutSegs{SELECT}[$__rate_interval]) > 0)", "{{instance}}")
                .rare("a host that sends nothing"),
            Panel::lines("Connections", "none", "TCP connections that stand, that wait to be forgotten, and that no program holds.")
                .query("node_netstat_Tcp_CurrEstab{SELECT}", "{{instance}} stand")
                .query("node_sockstat_TCP_tw{SELECT}", "{{instance}} wait")
                .query("node_sockstat_TCP_orphan{SELECT}", "{{instance}} orphans"),
            Panel::lines("Refused connections", "ops", "Connections that a program did not take in time. More than none: it is overloaded, or hangs.")
                .query("rate(node_netstat_TcpExt_ListenOverflows{SELECT}[$__rate_interval])", "{{instance}} overflows")
                .query("rate(node_netstat_TcpExt_ListenDrops{SELECT}[$__rate_interval])", "{{instance}} drops"),
            Panel::lines("Tracked connections", "percentunit", "Part of the kernel's table of connections that is used. When it is full, new connections are dropped without a word.")
                .max(1.0)
                .thresholds(0.75, 0.9)
                .query("node_nf_conntrack_entries{SELECT} / (node_nf_conntrack_entries_limit{SELECT} > 0)", "{{instance}}")
                .without("node_nf_conntrack_entries", "kernels that have nf_conntrack loaded"),
            Panel::lines("Held back by EC2", "pps", "Packets that EC2 delayed or dropped, as the instance was at its limit of bytes, packets or connections.")
                .query("rate(node_ethtool_bw_in_allowance_exceeded{SELECT}[$__rate_interval])", "{{instance}} {{device}} bytes in")
                .query("rate(node_ethtool_bw_out_allowance_exceeded{SELECT}[$__rate_interval])", "{{instance}} {{device}} bytes out")
                .query("rate(node_ethtool_pps_allowance_exceeded{SELECT}[$__rate_interval])", "{{instance}} {{device}} packets")
                .query("rate(node_ethtool_conntrack_allowance_exceeded{SELECT}[$__rate_interval])", "{{instance}} {{device}} connections")
                .query("rate(node_ethtool_linklocal_allowance_exceeded{SELECT}[$__rate_interval])", "{{instance}} {{device}} DNS, clock, metadata")
                .without("node_ethtool_bw_in_allowance_exceeded", "EC2 instances, whose network devices are of the kind ena"),
            Panel::lines("Left out by the kernel", "pps", "Packets that the kernel dropped as its queue was full, and rounds in which it had no time for all.")
                .query("sum by (cluster, instance) (rate(node_softnet_dropped_total{SELECT}[$__rate_interval]))", "{{instance}} dropped")
                .query("sum by (cluster, instance) (rate(node_softnet_times_squeezed_total{SELECT}[$__rate_interval]))", "{{instance}} no time"),
        ],
    }
}

fn system() -> Row {
    Row {
        title: "System",
        panels: vec![
            Panel::lines("Units by state", "none", "systemd's units by state. More than none failed: see the table.")
                .query("node_systemd_units{SELECT}", "{{instance}} {{state}}")
                .without("node_systemd_units", "hosts where node-exporter asks systemd"),
            Panel::table("Failed units", "Units that systemd has given up. The logs of the unit say why.")
                .size(8, 8)
                .query("node_systemd_unit_state{state=\"failed\",SELECT} == 1", "")
                .rare("no unit has failed"),
            Panel::lines("Started again", "none", "How often systemd has started each service again since it was loaded. Growth: it ends by itself.")
                .query("node_systemd_service_restart_total{SELECT} > 0", "{{instance}} {{name}}")
                .rare("every service has run from its start"),
            Panel::lines("Open files", "percentunit", "Part of the files that the whole host may have open.")
                .max(1.0)
                .query("node_filefd_allocated{SELECT} / node_filefd_maximum{SELECT}", "{{instance}}"),
            Panel::lines("Clock against its time server", "s", "How far the kernel's clock is from the time server's, by its own estimate, and how wrong that may be.")
                .signed()
                .query("node_timex_offset_seconds{SELECT}", "{{instance}} offset")
                .query("node_timex_maxerror_seconds{SELECT}", "{{instance}} largest error"),
            Panel::lines("Clock in step", "none", "1 while a time server keeps the clock. 0: nobody does, and it drifts.")
                .max(1.0)
                .query("node_timex_sync_status{SELECT}", "{{instance}}"),
            Panel::lines("Clock against Prometheus", "s", "How far the host's clock is from that of Prometheus, with the age of the sample. More than a second: Cassandra orders writes by clocks.")
                .signed()
                .query("node_time_seconds{SELECT} - timestamp(node_time_seconds{SELECT})", "{{instance}}"),
            Panel::lines("Text files", "none", "1 when a file of metrics that others leave cannot be read.")
                .max(1.0)
                .query("node_textfile_scrape_error{SELECT}", "{{instance}}"),
        ],
    }
}

fn exporter() -> Row {
    Row {
        title: "Agent",
        panels: vec![
            Panel::lines("Collectors' durations", "s", "How long each collector of node-exporter takes. A long one waits for something that does not answer.")
                .size(12, 8)
                .query("node_scrape_collector_duration_seconds{SELECT}", "{{instance}} {{collector}}"),
            Panel::lines("Collectors' success", "none", "0 for a collector that has failed, or that this machine has nothing for.")
                .size(12, 8)
                .max(1.0)
                .query("node_scrape_collector_success{SELECT}", "{{instance}} {{collector}}"),
            Panel::lines("Scrapes", "s", "How long Prometheus waits for the whole answer. The timeout is its limit.")
                .query("scrape_duration_seconds{SELECT}", "{{instance}} {{job}}"),
            Panel::lines("Agent's CPU", "percentunit", "Processor time of the agent itself.")
                .query("rate(process_cpu_seconds_total{SELECT}[$__rate_interval])", "{{instance}} {{job}}"),
            Panel::lines("Agent's files", "none", "Files and connections that the agent has open, and how many it may. Near the limit it cannot answer.")
                .query("process_open_fds{SELECT}", "{{instance}} {{job}} open")
                .query("process_max_fds{SELECT}", "{{instance}} {{job}} limit"),
            Panel::lines("Agent's memory", "bytes", "Memory of the agent itself.")
                .query("process_resident_memory_bytes{SELECT}", "{{instance}} {{job}}"),
        ],
    }
}
