namespace Discobot.Features.Packages;

public sealed class PublishTimesTests
{
    private static readonly DateTimeOffset Old = DateTimeOffset.UnixEpoch;
    private static readonly DateTimeOffset Young = Old.AddYears(50);

    [Fact]
    public void No_other_index_makes_a_version_older()
    {
        var times = new PublishTimes();
        times.Remember("p", new Dictionary<string, DateTimeOffset?> { ["1"] = Young, ["2"] = Old });
        times.Remember("p", new Dictionary<string, DateTimeOffset?> { ["1"] = Old, ["2"] = null, ["3"] = Old });
        Assert.Equal((Young, Old, Old), (Find("1"), Find("2"), Find("3")));
        Assert.Equal(3, times.Count);

        DateTimeOffset? Find(string version) => times.TryFind("p", version, out var published) ? published : throw new InvalidOperationException(version);
    }
}
