using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Discobot.Tests.Fixtures;

/// <summary>A network of a test's own, with a loopback and an uplink that leads nowhere and counts what is sent. Sockets belong to it when they
/// are made on the test's thread, so nothing in it may be asynchronous. Needs root.</summary>
internal static partial class ScratchNamespace
{
    // What the kernel says of itself when an interface comes up is nobody's traffic.
    private const string Recorder = """
        nft -f - <<'END'
        table inet recorder {
          chain sent {
            type filter hook postrouting priority 500
            icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept
            oifname eth0 counter
          }
        }
        END
        """;

    private const int NewNetwork = 0x40000000;

    /// <summary>Runs the test on a thread in a new network; its failure is thrown here.</summary>
    public static void Run(Action test)
    {
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Assert.True(Unshare(NewNetwork) == 0, $"unshare: {Marshal.GetLastPInvokeErrorMessage()}; these tests need root");
                // The kernel repeats what it says of its groups after some time: not while a test counts.
                Shell("ip link set lo up; ip link add eth0 type veth peer name beyond; sysctl -qw net.ipv6.conf.eth0.mldv2_unsolicited_report_interval=1000000; ip link set beyond up; ip addr add 192.0.2.1/24 dev eth0; ip -6 addr add 2001:db8::1/64 dev eth0 nodad;"
                    + " ip link set eth0 up; ip route add default via 192.0.2.254; ip -6 route add default via 2001:db8::fe;"
                    + " ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:01 dev eth0 nud permanent; ip neigh add 2001:db8::fe lladdr 02:00:00:00:00:01 dev eth0 nud permanent;"
                    // The kernel gives the address its own route a moment later; before that what is for it would leave.
                    + " until ip -6 route show table local | grep -q '^local 2001:db8::1 '; do sleep 0.01; done");
                Shell(Recorder);
                test();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    /// <summary>How many packets have left by the uplink.</summary>
    public static int Sent() => int.Parse(Shell("nft list chain inet recorder sent | sed -n 's/.*counter packets \\([0-9]*\\).*/\\1/p'"), CultureInfo.InvariantCulture);

    /// <summary>What is tried fails with what a refusal is told by, before a first try would be repeated, which is after a second.</summary>
    public static void AssertRefused(Action attempt)
    {
        var watch = Stopwatch.StartNew();
        var error = Assert.Throws<SocketException>(attempt);
        Assert.Contains(error.SocketErrorCode, (SocketError[])[SocketError.ConnectionRefused, SocketError.HostUnreachable, SocketError.AccessDenied]);
        Assert.True(watch.Elapsed < TimeSpan.FromMilliseconds(900), $"{watch.Elapsed}");
    }

    /// <summary>Runs a shell script in this network.</summary>
    /// <returns>Its output; it has to succeed.</returns>
    public static string Shell(string script)
    {
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, errors) = (shell.StandardOutput.ReadToEnd(), shell.StandardError.ReadToEnd());
        shell.WaitForExit();
        Assert.True(shell.ExitCode == 0, $"{script}\n{output}{errors}");
        return output.Trim();
    }

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);
}
