"""fastnn behind the interfaces of other projects."""
