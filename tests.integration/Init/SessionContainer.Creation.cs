using System.Text;
using Discobot.Integration.Fixtures;
using Docker.DotNet.Models;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Init;

/// <summary>How the container is made.</summary>
internal sealed partial class SessionContainer
{
    // Where the host gives its FUSE device to root alone, the container's own is open to all, as it is on most hosts.
    private const string Entrypoint = "set -e; [ -e /prepared ] || { . /prepare.sh; : > /prepared; }; [ ! -e /dev/fuse ] || chmod 666 /dev/fuse; "
        + "exec /opt/discobot/bin/discobot init \"$@\"";

    private const UnixFileModes Executable = UnixFileModes.UserRead | UnixFileModes.UserWrite | UnixFileModes.UserExecute
        | UnixFileModes.GroupRead | UnixFileModes.GroupExecute | UnixFileModes.OtherRead | UnixFileModes.OtherExecute;

    private readonly Dictionary<string, (byte[] Content, UnixFileModes Mode)> _files = [];
    private readonly StringBuilder _prepare = new();
    private readonly string _image;

    /// <param name="image">Of the images of <c>make images</c>, or made from one.</param>
    public SessionContainer(string image)
    {
        _image = image;
        Agent("sleep 1000");
    }

    public SessionContainer(Distro distro)
        : this(distro.Image)
    {
    }

    public override Dictionary<string, string> Environment { get; } = new() { ["SESSION_ID"] = "session-1" };

    /// <summary>Beyond the loopback only when a test needs it.</summary>
    public INetwork? Network { get; init; }

    /// <summary>The name servers that the engine asks for the container; the machine's own when null.</summary>
    public IList<string>? NameServers { get; init; }

    /// <summary>Whether the image's dockerd is there; most tests are quicker without.</summary>
    public bool Docker { get; init; }

    /// <summary>What it may do beyond a plain container.</summary>
    public IList<string> Capabilities { get; init; } = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD"];

    /// <summary>What is at /.data; a volume of its own when null.</summary>
    public DataVolume? Data { get; init; }

    /// <summary>Whether programs in it may mount file systems of their own (FUSE).</summary>
    public bool Fuse { get; init; }

    /// <summary>When the image's HEALTHCHECK is run; as the image says when null.</summary>
    public HealthcheckConfig? Health { get; init; }

    /// <summary>More volumes than /.data.</summary>
    public IReadOnlyList<string> Volumes { get; init; } = [];

    public override void Program(string path, string script) => Put(path, $"#!/bin/sh\n{script}\n", Executable);

    /// <summary>Puts a file into the image; after the first start, into the container.</summary>
    public void Put(string path, string content, UnixFileModes mode = UnixFileModes.UserRead | UnixFileModes.GroupRead | UnixFileModes.OtherRead)
        => _files[path] = (Encoding.UTF8.GetBytes(content), mode);

    /// <summary>What is done in the image, as root in sh, before its first start.</summary>
    public void Prepare(string script) => _prepare.Append(script).Append('\n');

    private void Create()
    {
        if (!Docker)
            Prepare("rm -f /usr/sbin/dockerd /usr/bin/dockerd");
        Put("/prepare.sh", _prepare.ToString());
        var builder = Engine.Container(_image)
            .WithEntrypoint("/bin/sh", "-c", Entrypoint, "init")
            .WithWaitStrategy(Wait.ForUnixContainer())
            .WithEnvironment(Environment)
            .WithCreateParameterModifier(Allow);
        foreach (var (path, file) in _files)
            builder = builder.WithResourceMapping(file.Content, path, fileMode: file.Mode);
        _files.Clear();
        if (Network is { } network)
            builder = builder.WithNetwork(network);
        if (Data is { } data)
            builder = builder.WithVolumeMount(data.Name, "/.data");
        _container = builder.Build();
    }

    private void Allow(CreateContainerParameters parameters)
    {
        parameters.HostConfig!.CapAdd = Capabilities;
        parameters.HostConfig.DNS = NameServers ?? [];
        parameters.HostConfig.SecurityOpt = ["seccomp=unconfined", "apparmor=unconfined"];
        parameters.Volumes = (Data is null ? Volumes.Append("/.data") : Volumes).ToDictionary(v => v, _ => default(EmptyStruct));
        parameters.Tty = parameters.OpenStdin = Terminal;
        parameters.Healthcheck = Health;
        if (Fuse)
            parameters.HostConfig.Devices = [new() { PathOnHost = "/dev/fuse", PathInContainer = "/dev/fuse", CgroupPermissions = "rwm" }];
    }
}
