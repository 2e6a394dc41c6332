namespace Discobot.Infrastructure;

public sealed class SharedPlacesTests
{
    private readonly SharedPlaces _places = new(8, 8);

    [Fact]
    public void A_group_gets_half_of_them_and_whoever_comes_later_finds_one()
    {
        Assert.Equal(4, TakeAll("flood").Count);
        Assert.Equal(2, TakeAll("second flood").Count);
        Assert.Single(TakeAll("third"));
        Assert.Single(TakeAll("fourth"));
        Assert.Empty(TakeAll("there is none left"));
    }

    [Fact]
    public async Task Whoever_waits_has_a_turn_when_one_is_left()
    {
        var flood = TakeAll("flood");
        var third = _places.EnterAsync("flood", default).AsTask();
        var fourth = _places.EnterAsync("flood", default).AsTask();
        var other = await _places.EnterAsync("other", default).AsTask();
        Assert.False(third.IsCompleted);

        flood[0].Dispose();
        flood[0].Dispose();
        await third;
        Assert.False(fourth.IsCompleted);
        other!.Dispose();
        Assert.False(fourth.IsCompleted);
        (await third)!.Dispose();
        (await fourth)!.Dispose();
        flood.ForEach(place => place.Dispose());
        Assert.Equal(4, TakeAll("flood").Count);
    }

    [Fact]
    public async Task Whoever_waits_no_more_takes_no_turn()
    {
        var flood = TakeAll("flood");
        using var enough = new CancellationTokenSource();
        var gone = _places.EnterAsync("flood", enough.Token).AsTask();
        var stays = _places.EnterAsync("flood", default).AsTask();
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);

        flood[0].Dispose();
        await stays;
        Assert.Null(_places.TryEnter("flood"));
    }

    [Fact]
    public async Task Of_one_group_no_more_wait_than_its_share()
    {
        TakeAll("flood");
        var waiting = Enumerable.Range(0, 4).Select(_ => _places.EnterAsync("flood", default).AsTask()).ToArray();
        Assert.Null(await _places.EnterAsync("flood", default));
        Assert.DoesNotContain(waiting, task => task.IsCompleted);
        foreach (var name in (string[])["a", "b", "c", "d"])
            Assert.NotNull(await _places.EnterAsync(name, default));
        Assert.False(_places.EnterAsync("e", default).AsTask().IsCompleted);
    }

    [Fact]
    public async Task Everybody_has_a_turn_however_many_come_at_once()
    {
        var inside = 0;
        var places = new SharedPlaces(8, 4096);
        await Task.WhenAll(Enumerable.Range(0, 2000).Select(i => Task.Run(async () =>
        {
            using var place = await places.EnterAsync($"{i % 5}", default);
            Assert.NotNull(place);
            Assert.InRange(Interlocked.Increment(ref inside), 1, 8);
            await Task.Yield();
            Interlocked.Decrement(ref inside);
        }))).WaitAsync(TimeSpan.FromMinutes(1));
        for (var i = 0; i < 8; i++)
            Assert.NotNull(places.TryEnter($"new {i}"));
    }

    private List<IDisposable> TakeAll(string group)
    {
        var taken = new List<IDisposable>();
        while (_places.TryEnter(group) is { } place)
            taken.Add(place);
        return taken;
    }
}
