namespace Discobot.Infrastructure.Native.Networks;

public sealed class NetworkNamespaceTests
{

    [Theory]
    [InlineData("net:[4026531833]", false, true)]
    [InlineData("net:[4026532326]", true, true)]
    [InlineData("net:[4026532326]", false, false)]
    public void It_is_known_by_its_number_or_by_a_setting_that_is_nobody_elses(string link, bool hasSetting, bool expected)
    {
        var proc = Directory.CreateTempSubdirectory("proc-");
        Directory.CreateDirectory($"{proc}/self/ns");
        File.CreateSymbolicLink($"{proc}/self/ns/net", link);
        Directory.CreateDirectory($"{proc}/sys/net/core");
        if (hasSetting)
            File.WriteAllText($"{proc}/sys/net/core/netdev_max_backlog", "1000\n");
        Assert.Equal(expected, NetworkNamespace.IsTheMachines(proc.FullName));
        proc.Delete(true);
    }
}
