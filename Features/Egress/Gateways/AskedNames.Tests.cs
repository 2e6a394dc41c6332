using System.Net;

namespace Discobot.Features.Egress.Gateways;

public sealed class AskedNamesTests
{
    private readonly Clock _clock = new();

    [Fact]
    public void Each_client_has_its_own_and_one_that_asked_under_another_address_has_everybodys()
    {
        var asked = new AskedNames(_clock);
        asked.Remember(IPAddress.Parse("172.28.0.3"), "a.test");
        asked.Remember(IPAddress.Parse("172.28.0.4"), "b.test");
        Assert.Equal(["a.test"], asked.AskedBy(IPAddress.Parse("172.28.0.3")));
        Assert.Equal(["a.test", "b.test"], asked.AskedBy(IPAddress.Parse("fd00:28::3")).Order());
    }

    [Fact]
    public void Ten_minutes_after_the_last_question_it_is_forgotten()
    {
        var asked = new AskedNames(_clock);
        asked.Remember(IPAddress.Loopback, "a.test");
        _clock.Now += TimeSpan.FromMinutes(9);
        asked.Remember(IPAddress.Loopback, "b.test");
        _clock.Now += TimeSpan.FromMinutes(2);
        Assert.Equal(["b.test"], asked.AskedBy(IPAddress.Loopback));
    }

    [Fact]
    public void However_many_ask_for_however_much_the_latest_are_kept()
    {
        var asked = new AskedNames(_clock);
        for (var client = 0; client < 3000; client++)
        {
            _clock.Now += TimeSpan.FromMilliseconds(1);
            asked.Remember(new IPAddress([10, 0, (byte)(client >> 8), (byte)client]), $"{client}.test");
        }

        var last = new IPAddress([10, 0, 2999 >> 8, 2999 & 255]);
        for (var name = 0; name < 1000; name++)
        {
            _clock.Now += TimeSpan.FromMilliseconds(1);
            asked.Remember(last, $"more{name}.test");
        }

        Assert.Equal(128, asked.AskedBy(last).Count);
        Assert.Contains("more999.test", asked.AskedBy(last));
        Assert.True(asked.AskedBy(IPAddress.Loopback).Count <= 1024 + 128);
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
