using System.Text.Json;

namespace Discobot.Features.DockerGuard;

/// <summary>
/// What a new container may not be given. Every key that dockerd knows is here; one that is not, and says something, is refused: it may be one of a
/// later version that opens what these keep closed.
/// </summary>
internal sealed class ContainerRules(AllowedSources sources, NetworkRules networks)
{
    private static readonly HashSet<string> DefaultCapabilities = new(StringComparer.OrdinalIgnoreCase)
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP",
        "SETUID", "SYS_CHROOT",
    };

    private static readonly HashSet<string> Harmless = new(StringComparer.OrdinalIgnoreCase)
    {
        // The container's own configuration.
        "Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "PortSpecs", "Tty", "OpenStdin", "StdinOnce", "Env",
        "Cmd", "Healthcheck", "ArgsEscaped", "Image", "Volumes", "WorkingDir", "Entrypoint", "NetworkDisabled", "MacAddress", "OnBuild", "Labels",
        "StopSignal", "StopTimeout", "Shell",
        // What it gets of the machine.
        "ContainerIDFile", "PortBindings", "RestartPolicy", "AutoRemove", "VolumesFrom", "ConsoleSize", "CapDrop", "Dns", "DnsOptions", "DnsSearch",
        "ExtraHosts", "GroupAdd", "Links", "PublishAllPorts", "ReadonlyRootfs", "StorageOpt", "Tmpfs", "ShmSize", "Init", "CpuShares", "Memory", "NanoCpus",
        "BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "CpuPeriod",
        "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "Cpuset", "CpusetCpus", "CpusetMems", "KernelMemory", "KernelMemoryTCP",
        "MemoryReservation", "MemorySwap", "MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits", "CpuCount", "CpuPercent", "IOMaximumIOps",
        "IOMaximumBandwidth",
    };

    /// <summary>Why a container may not be as it is described; null when it may. The keys of the host's part count wherever they stand: dockerd
    /// still takes them beside the container's own, where they were before API 1.15.</summary>
    public string? Refusal(JsonElement description)
    {
        if (description.ValueKind == JsonValueKind.Null)
            return null;
        foreach (var member in description.EnumerateObject())
        {
            // An empty list unmasks all that is masked; only null leaves it.
            if (member.Name.ToUpperInvariant() is "MASKEDPATHS" or "READONLYPATHS" && member.Value.ValueKind != JsonValueKind.Null)
                return member.Name;
            if (!Harmless.Contains(member.Name) && !GoJson.IsEmpty(member.Value) && Refusal(member.Name, member.Value) is { } refusal)
                return refusal;
        }

        return null;
    }

    private string? Refusal(string name, JsonElement value) => name.ToUpperInvariant() switch
    {
        "HOSTCONFIG" => Refusal(value),
        "NETWORKINGCONFIG" => networks.EndpointsRefusal(value),
        "BINDS" => First(value, item => BindRefusal(item.GetString() ?? "")),
        "MOUNTS" => First(value, MountRefusal),
        "VOLUMEDRIVER" => value.GetString() == "local" ? null : $"the volume driver {value.GetString()}",
        "CAPADD" => First(value, item => CapabilityRefusal(item.GetString() ?? "")),
        "SECURITYOPT" => First(value, item => SecurityRefusal(item.GetString() ?? "")),
        "SYSCTLS" => value.EnumerateObject().Select(s => s.Name).Where(n => !IsNamespaced(n)).Select(n => $"the sysctl {n}").FirstOrDefault(),
        "NETWORKMODE" => networks.ModeRefusal(value.GetString() ?? ""),
        "PIDMODE" => IsOf(value, "container:") ? null : $"PidMode {value}",
        "IPCMODE" => value.GetString() is "none" or "private" or "shareable" || IsOf(value, "container:") ? null : $"IpcMode {value}",
        "CGROUPNSMODE" => value.GetString() == "private" ? null : $"CgroupnsMode {value}",
        "ISOLATION" => value.GetString() == "default" ? null : $"Isolation {value}",
        "RUNTIME" => value.GetString() == "runc" ? null : $"the runtime {value}",
        "OOMSCOREADJ" => value.TryGetInt64(out var score) && score > 0 ? null : $"OomScoreAdj {value} below 0",
        "LOGCONFIG" => GoJson.Text(value, "Type") is "" or "json-file" or "local" or "none" or "journald" ? null : $"the log driver {GoJson.Text(value, "Type")}",
        "DEVICES" or "DEVICEREQUESTS" or "DEVICECGROUPRULES" => $"devices ({name})",
        _ => name,
    };

    private static bool IsOf(JsonElement value, string prefix) => value.GetString()!.StartsWith(prefix, StringComparison.Ordinal);

    private static string? First(JsonElement list, Func<JsonElement, string?> refusal)
        => list.EnumerateArray().Select(refusal).FirstOrDefault(problem => problem is not null);

    private static string? CapabilityRefusal(string name)
        => DefaultCapabilities.Contains(name.StartsWith("CAP_", StringComparison.OrdinalIgnoreCase) ? name[4..] : name) ? null : $"the capability {name}";

    private static string? SecurityRefusal(string option)
        => option is "no-new-privileges" or "no-new-privileges:true" or "no-new-privileges=true" or "seccomp=builtin" or "apparmor=docker-default"
            ? null : $"the security option {option.Split('{')[0]}";

    // Those that the kernel keeps for each container (and runc lets through).
    private static bool IsNamespaced(string name) => name.StartsWith("net.", StringComparison.Ordinal) || name.StartsWith("fs.mqueue.", StringComparison.Ordinal)
        || name is "kernel.msgmax" or "kernel.msgmnb" or "kernel.msgmni" or "kernel.sem" or "kernel.shmall" or "kernel.shmmax" or "kernel.shmmni" or "kernel.shm_rmid_forced";

    // SOURCE:TARGET[:OPTIONS], where a source without a slash at its beginning is the name of a volume.
    private string? BindRefusal(string bind)
    {
        var parts = bind.Split(':');
        if (parts.Length == 1 || !parts[0].StartsWith('/'))
            return null;
        if (parts.Length > 2 && parts[2].Split(',').Any(o => o is "shared" or "rshared"))
            return $"the bind mount {bind}, which shares what is mounted there";
        return SourceRefusal(parts[0]);
    }

    private string? SourceRefusal(string source)
        => sources.Allow(source) ? null : $"the bind mount of {source}, which is not below {sources}";

    private string? MountRefusal(JsonElement mount)
    {
        switch (GoJson.Text(mount, "Type"))
        {
            case "bind":
                var propagation = GoJson.Member(mount, "BindOptions") is { } options ? GoJson.Text(options, "Propagation") : "";
                return propagation is "" or "private" or "rprivate" or "slave" or "rslave"
                    ? SourceRefusal(GoJson.Text(mount, "Source")) : $"a bind mount with the propagation {propagation}";
            case "volume":
                return GoJson.Member(mount, "VolumeOptions") is { } volume && GoJson.Member(volume, "DriverConfig") is { ValueKind: JsonValueKind.Object } driver
                    ? VolumeRules.Refusal(GoJson.Text(driver, "Name"), GoJson.Member(driver, "Options")) : null;
            case "tmpfs" or "image":
                return null;
            case var type:
                return $"a mount of the type {type}";
        }
    }
}
